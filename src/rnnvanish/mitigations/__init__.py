"""Mitigations, one file each, or one a family of one idea.

A new mitigation is its file and a line here.
"""

from rnnvanish.mitigation import Mitigation
from rnnvanish.mitigations.activation_regularisation import ActivationRegularisation as ActivationRegularisation
from rnnvanish.mitigations.adaptive_truncation import AdaptiveTruncation as AdaptiveTruncation
from rnnvanish.mitigations.attention_over_past import AttentionOverPast as AttentionOverPast
from rnnvanish.mitigations.auto_clip import AutoClip as AutoClip
from rnnvanish.mitigations.auxiliary_prediction import AuxiliaryPrediction as AuxiliaryPrediction
from rnnvanish.mitigations.auxiliary_reconstruction import AuxiliaryReconstruction as AuxiliaryReconstruction
from rnnvanish.mitigations.chrono import Chrono as Chrono
from rnnvanish.mitigations.clipping import AdaptiveClip as AdaptiveClip
from rnnvanish.mitigations.clipping import ClipNorm as ClipNorm
from rnnvanish.mitigations.clipping import ClipValue as ClipValue
from rnnvanish.mitigations.coupled_gates import CoupledGates as CoupledGates
from rnnvanish.mitigations.critical import Critical as Critical
from rnnvanish.mitigations.curriculum import Curriculum as Curriculum
from rnnvanish.mitigations.dilated import Dilated as Dilated
from rnnvanish.mitigations.glorot import Glorot as Glorot
from rnnvanish.mitigations.gradient_flossing import GradientFlossing as GradientFlossing
from rnnvanish.mitigations.gradient_noise import GradientNoise as GradientNoise
from rnnvanish.mitigations.gradient_norm_penalty import GradientNormPenalty as GradientNormPenalty
from rnnvanish.mitigations.h_detach import HDetach as HDetach
from rnnvanish.mitigations.he import He as He
from rnnvanish.mitigations.highway_through_time import HighwayThroughTime as HighwayThroughTime
from rnnvanish.mitigations.identity import Identity as Identity
from rnnvanish.mitigations.jacobian_penalty import JacobianPenalty as JacobianPenalty
from rnnvanish.mitigations.layer_normalisation import LayerNormalisation as LayerNormalisation
from rnnvanish.mitigations.leaky_step import LeakyStep as LeakyStep
from rnnvanish.mitigations.linear_autoencoder_start import LinearAutoencoderStart as LinearAutoencoderStart
from rnnvanish.mitigations.loss_scaling import LossScaling as LossScaling
from rnnvanish.mitigations.multiplicative_integration import MultiplicativeIntegration as MultiplicativeIntegration
from rnnvanish.mitigations.norm_stabiliser import NormStabiliser as NormStabiliser
from rnnvanish.mitigations.normalised_backpropagation import NormalisedBackpropagation as NormalisedBackpropagation
from rnnvanish.mitigations.np_rnn import NpRNN as NpRNN
from rnnvanish.mitigations.open_gate import OpenGate as OpenGate
from rnnvanish.mitigations.orthogonal_constraint import OrthogonalConstraint as OrthogonalConstraint
from rnnvanish.mitigations.orthogonal_start import OrthogonalStart as OrthogonalStart
from rnnvanish.mitigations.random_truncation import RandomTruncation as RandomTruncation
from rnnvanish.mitigations.recurrent_batch_normalisation import (
    RecurrentBatchNormalisation as RecurrentBatchNormalisation,
)
from rnnvanish.mitigations.recurrent_rate import RecurrentRate as RecurrentRate
from rnnvanish.mitigations.residual_through_time import ResidualThroughTime as ResidualThroughTime
from rnnvanish.mitigations.rms_normalisation import RMSNormalisation as RMSNormalisation
from rnnvanish.mitigations.rotation_start import RotationStart as RotationStart
from rnnvanish.mitigations.singular_value_band import SingularValueBand as SingularValueBand
from rnnvanish.mitigations.singular_value_penalty import SingularValuePenalty as SingularValuePenalty
from rnnvanish.mitigations.skip_through_time import SkipThroughTime as SkipThroughTime
from rnnvanish.mitigations.soft_orthogonality import SoftOrthogonality as SoftOrthogonality
from rnnvanish.mitigations.sparse_attentive_backtracking import (
    SparseAttentiveBacktracking as SparseAttentiveBacktracking,
)
from rnnvanish.mitigations.sparse_start import SparseStart as SparseStart
from rnnvanish.mitigations.spectral_norm import SpectralNorm as SpectralNorm
from rnnvanish.mitigations.synthetic_gradients import SyntheticGradients as SyntheticGradients
from rnnvanish.mitigations.temporal_activation_regularisation import (
    TemporalActivationRegularisation as TemporalActivationRegularisation,
)
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation as TruncatedBackpropagation
from rnnvanish.mitigations.uniform_gate import UniformGate as UniformGate
from rnnvanish.mitigations.uoro import UORO as UORO
from rnnvanish.mitigations.variational_dropout import VariationalDropout as VariationalDropout
from rnnvanish.mitigations.warm_state import WarmState as WarmState
from rnnvanish.mitigations.weight_drop import WeightDrop as WeightDrop
from rnnvanish.mitigations.weight_norm import WeightNorm as WeightNorm
from rnnvanish.mitigations.zoneout import Zoneout as Zoneout

#: Every mitigation by its name.
ALL: dict[str, type[Mitigation]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Mitigation) and value is not Mitigation
}
__all__ = ["ALL", *ALL]  # noqa: PLE0604  (its names are those of the classes)

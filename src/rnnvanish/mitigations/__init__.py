"""Mitigations, one file each.

A new one is its file, one import and its name in `__all__`.
"""

from rnnvanish.mitigation import Mitigation
from rnnvanish.mitigations.activation_regularisation import ActivationRegularisation
from rnnvanish.mitigations.adaptive_truncation import AdaptiveTruncation
from rnnvanish.mitigations.attention_over_past import AttentionOverPast
from rnnvanish.mitigations.auto_clip import AutoClip
from rnnvanish.mitigations.auxiliary_prediction import AuxiliaryPrediction
from rnnvanish.mitigations.auxiliary_reconstruction import AuxiliaryReconstruction
from rnnvanish.mitigations.chrono import Chrono
from rnnvanish.mitigations.clipping import AdaptiveClip, ClipNorm, ClipValue
from rnnvanish.mitigations.coupled_gates import CoupledGates
from rnnvanish.mitigations.critical import Critical
from rnnvanish.mitigations.curriculum import Curriculum
from rnnvanish.mitigations.dilated import Dilated
from rnnvanish.mitigations.glorot import Glorot
from rnnvanish.mitigations.gradient_flossing import GradientFlossing
from rnnvanish.mitigations.gradient_noise import GradientNoise
from rnnvanish.mitigations.gradient_norm_penalty import GradientNormPenalty
from rnnvanish.mitigations.h_detach import HDetach
from rnnvanish.mitigations.he import He
from rnnvanish.mitigations.highway_through_time import HighwayThroughTime
from rnnvanish.mitigations.identity import Identity
from rnnvanish.mitigations.jacobian_penalty import JacobianPenalty
from rnnvanish.mitigations.layer_normalisation import LayerNormalisation
from rnnvanish.mitigations.leaky_step import LeakyStep
from rnnvanish.mitigations.linear_autoencoder_start import LinearAutoencoderStart
from rnnvanish.mitigations.loss_scaling import LossScaling
from rnnvanish.mitigations.multiplicative_integration import MultiplicativeIntegration
from rnnvanish.mitigations.norm_stabiliser import NormStabiliser
from rnnvanish.mitigations.normalised_backpropagation import NormalisedBackpropagation
from rnnvanish.mitigations.np_rnn import NpRNN
from rnnvanish.mitigations.open_gate import OpenGate
from rnnvanish.mitigations.orthogonal_constraint import OrthogonalConstraint
from rnnvanish.mitigations.orthogonal_start import OrthogonalStart
from rnnvanish.mitigations.random_truncation import RandomTruncation
from rnnvanish.mitigations.recurrent_batch_normalisation import RecurrentBatchNormalisation
from rnnvanish.mitigations.recurrent_rate import RecurrentRate
from rnnvanish.mitigations.residual_through_time import ResidualThroughTime
from rnnvanish.mitigations.rms_normalisation import RMSNormalisation
from rnnvanish.mitigations.rotation_start import RotationStart
from rnnvanish.mitigations.singular_value_band import SingularValueBand
from rnnvanish.mitigations.singular_value_penalty import SingularValuePenalty
from rnnvanish.mitigations.skip_through_time import SkipThroughTime
from rnnvanish.mitigations.soft_orthogonality import SoftOrthogonality
from rnnvanish.mitigations.sparse_attentive_backtracking import SparseAttentiveBacktracking
from rnnvanish.mitigations.sparse_start import SparseStart
from rnnvanish.mitigations.spectral_norm import SpectralNorm
from rnnvanish.mitigations.synthetic_gradients import SyntheticGradients
from rnnvanish.mitigations.temporal_activation_regularisation import TemporalActivationRegularisation
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation
from rnnvanish.mitigations.uniform_gate import UniformGate
from rnnvanish.mitigations.uoro import UORO
from rnnvanish.mitigations.variational_dropout import VariationalDropout
from rnnvanish.mitigations.warm_state import WarmState
from rnnvanish.mitigations.weight_drop import WeightDrop
from rnnvanish.mitigations.weight_norm import WeightNorm
from rnnvanish.mitigations.zoneout import Zoneout

__all__ = [
    "ALL",
    "UORO",
    "ActivationRegularisation",
    "AdaptiveClip",
    "AdaptiveTruncation",
    "AttentionOverPast",
    "AutoClip",
    "AuxiliaryPrediction",
    "AuxiliaryReconstruction",
    "Chrono",
    "ClipNorm",
    "ClipValue",
    "CoupledGates",
    "Critical",
    "Curriculum",
    "Dilated",
    "Glorot",
    "GradientFlossing",
    "GradientNoise",
    "GradientNormPenalty",
    "HDetach",
    "He",
    "HighwayThroughTime",
    "Identity",
    "JacobianPenalty",
    "LayerNormalisation",
    "LeakyStep",
    "LinearAutoencoderStart",
    "LossScaling",
    "MultiplicativeIntegration",
    "NormStabiliser",
    "NormalisedBackpropagation",
    "NpRNN",
    "OpenGate",
    "OrthogonalConstraint",
    "OrthogonalStart",
    "RMSNormalisation",
    "RandomTruncation",
    "RecurrentBatchNormalisation",
    "RecurrentRate",
    "ResidualThroughTime",
    "RotationStart",
    "SingularValueBand",
    "SingularValuePenalty",
    "SkipThroughTime",
    "SoftOrthogonality",
    "SparseAttentiveBacktracking",
    "SparseStart",
    "SpectralNorm",
    "SyntheticGradients",
    "TemporalActivationRegularisation",
    "TruncatedBackpropagation",
    "UniformGate",
    "VariationalDropout",
    "WarmState",
    "WeightDrop",
    "WeightNorm",
    "Zoneout",
]

#: Every mitigation by its name.
ALL: dict[str, type[Mitigation]] = {name: globals()[name] for name in sorted(__all__) if name != "ALL"}

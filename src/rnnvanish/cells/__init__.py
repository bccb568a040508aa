"""Recurrent cells, one file each, or one a family of one idea.

A new cell is its file and a line here.
"""

from rnnvanish.cell import Cell
from rnnvanish.cells.antisymmetric import AntisymmetricRNN as AntisymmetricRNN
from rnnvanish.cells.antisymmetric import GatedAntisymmetricRNN as GatedAntisymmetricRNN
from rnnvanish.cells.atr import ATR as ATR
from rnnvanish.cells.attentive import AttentiveRNN as AttentiveRNN
from rnnvanish.cells.brc import BRC as BRC
from rnnvanish.cells.brc import NBRC as NBRC
from rnnvanish.cells.cfn import CFN as CFN
from rnnvanish.cells.clockwork import ClockworkRNN as ClockworkRNN
from rnnvanish.cells.cornn import CoRNN as CoRNN
from rnnvanish.cells.coupled_lstm import CoupledLSTM as CoupledLSTM
from rnnvanish.cells.deltanet import DeltaNet as DeltaNet
from rnnvanish.cells.elman import Elman as Elman
from rnnvanish.cells.fast import FastGRNN as FastGRNN
from rnnvanish.cells.fast import FastRNN as FastRNN
from rnnvanish.cells.gru import GRU as GRU
from rnnvanish.cells.gru_reset_before import GRUResetBefore as GRUResetBefore
from rnnvanish.cells.indrnn import IndRNN as IndRNN
from rnnvanish.cells.janet import JANET as JANET
from rnnvanish.cells.leaky import LeakyRNN as LeakyRNN
from rnnvanish.cells.lem import LEM as LEM
from rnnvanish.cells.lipschitz import LipschitzRNN as LipschitzRNN
from rnnvanish.cells.lmu import LMU as LMU
from rnnvanish.cells.lru import LRU as LRU
from rnnvanish.cells.lstm import LSTM as LSTM
from rnnvanish.cells.lstm1997 import LSTM1997 as LSTM1997
from rnnvanish.cells.mgu import MGU as MGU
from rnnvanish.cells.minimal_rnn import MinimalRNN as MinimalRNN
from rnnvanish.cells.minrnn import MinGRU as MinGRU
from rnnvanish.cells.minrnn import MinLSTM as MinLSTM
from rnnvanish.cells.mist import MIST as MIST
from rnnvanish.cells.mut import MUT1 as MUT1
from rnnvanish.cells.mut import MUT2 as MUT2
from rnnvanish.cells.mut import MUT3 as MUT3
from rnnvanish.cells.onlstm import ONLSTM as ONLSTM
from rnnvanish.cells.orthogonal import ExpRNN as ExpRNN
from rnnvanish.cells.orthogonal import HouseholderRNN as HouseholderRNN
from rnnvanish.cells.orthogonal import ScoRNN as ScoRNN
from rnnvanish.cells.peephole_lstm import PeepholeLSTM as PeepholeLSTM
from rnnvanish.cells.phased import PhasedLSTM as PhasedLSTM
from rnnvanish.cells.projected_lstm import ProjectedLSTM as ProjectedLSTM
from rnnvanish.cells.qrnn import QRNN as QRNN
from rnnvanish.cells.ran import RAN as RAN
from rnnvanish.cells.rhn import RHN as RHN
from rnnvanish.cells.s4d import S4D as S4D
from rnnvanish.cells.s6 import S6 as S6
from rnnvanish.cells.scrn import SCRN as SCRN
from rnnvanish.cells.skip import SkipRNN as SkipRNN
from rnnvanish.cells.sru import SRU as SRU
from rnnvanish.cells.star import STAR as STAR
from rnnvanish.cells.ugrnn import UGRNN as UGRNN
from rnnvanish.cells.unicornn import UnICORNN as UnICORNN
from rnnvanish.cells.ur_lstm import URLSTM as URLSTM
from rnnvanish.cells.urnn import URNN as URNN
from rnnvanish.cells.xlstm import MLSTM as MLSTM
from rnnvanish.cells.xlstm import SLSTM as SLSTM

#: Every cell by its name.
ALL: dict[str, type[Cell]] = {
    name: value
    for name, value in sorted(globals().items())
    if isinstance(value, type) and issubclass(value, Cell) and value is not Cell
}
__all__ = [*ALL]  # noqa: PLE0604  (its names are those of the classes)

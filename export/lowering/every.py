"""The list of all lowerings: a new one is a file and a line here."""

from __future__ import annotations

from export.lowering.axis_from_behind import AXIS_FROM_BEHIND
from export.lowering.band_part import BAND_PART
from export.lowering.batch_gather import BATCH_GATHER
from export.lowering.bicubic import BICUBIC
from export.lowering.bincount import BINCOUNT
from export.lowering.branch import BRANCH
from export.lowering.bucketize import BUCKETIZE
from export.lowering.colours import COLOURS
from export.lowering.complex_pairs import COMPLEX_PAIRS
from export.lowering.conv_3d_transpose import CONV_3D_TRANSPOSE
from export.lowering.cross import CROSS
from export.lowering.cumprod import CUMPROD
from export.lowering.debugging import DEBUGGING
from export.lowering.deep_pad import DEEP_PAD
from export.lowering.deep_slices import DEEP_SLICES
from export.lowering.diagonal import DIAGONAL
from export.lowering.dilated_conv_3d import DILATED_CONV_3D
from export.lowering.dilated_transpose import DILATED_TRANSPOSE
from export.lowering.einsum import EINSUM
from export.lowering.elementary import ELEMENTARY
from export.lowering.empty_sum import EMPTY_SUM
from export.lowering.equations import EQUATIONS
from export.lowering.erfc import ERFC
from export.lowering.erfinv import ERFINV
from export.lowering.fake_quant import FAKE_QUANT
from export.lowering.floor_division import FLOOR_DIVISION
from export.lowering.gamma import GAMMA
from export.lowering.grouped_convolution import GROUPED_CONVOLUTION
from export.lowering.image_patches import IMAGE_PATCHES
from export.lowering.inlining import INLINING
from export.lowering.integer_lookup import INTEGER_LOOKUP
from export.lowering.integer_matmul import INTEGER_MATMUL
from export.lowering.lookup import LOOKUP
from export.lowering.lowering import Lowering
from export.lowering.masked_softmax import MASKED_SOFTMAX
from export.lowering.matrix_diag import MATRIX_DIAG
from export.lowering.pool_3d import POOL_3D
from export.lowering.roll import ROLL
from export.lowering.scale_and_translate import SCALE_AND_TRANSLATE
from export.lowering.scatter_add import SCATTER_ADD
from export.lowering.seed_state import SEED_STATE
from export.lowering.segment_sum import SEGMENT_SUM
from export.lowering.sign_bit import SIGN_BIT
from export.lowering.softsign import SOFTSIGN
from export.lowering.space_to_depth import SPACE_TO_DEPTH
from export.lowering.sparse_matmul import SPARSE_MATMUL
from export.lowering.to_booleans import TO_BOOLEANS
from export.lowering.unpadded_convolution import UNPADDED_CONVOLUTION
from export.lowering.xlogy import XLOGY

LOWERINGS: tuple[Lowering, ...] = (
    DEBUGGING,
    SEED_STATE,
    INLINING,
    BRANCH,
    COMPLEX_PAIRS,
    ERFC,
    EINSUM,
    BUCKETIZE,
    INTEGER_LOOKUP,
    LOOKUP,
    XLOGY,
    FLOOR_DIVISION,
    FAKE_QUANT,
    TO_BOOLEANS,
    ROLL,
    BICUBIC,
    IMAGE_PATCHES,
    SPACE_TO_DEPTH,
    SEGMENT_SUM,
    POOL_3D,
    DEEP_PAD,
    DEEP_SLICES,
    DILATED_CONV_3D,
    BINCOUNT,
    BAND_PART,
    MASKED_SOFTMAX,
    MATRIX_DIAG,
    CROSS,
    DIAGONAL,
    SOFTSIGN,
    CUMPROD,
    AXIS_FROM_BEHIND,
    EMPTY_SUM,
    SCATTER_ADD,
    BATCH_GATHER,
    UNPADDED_CONVOLUTION,
    GROUPED_CONVOLUTION,
    CONV_3D_TRANSPOSE,
    DILATED_TRANSPOSE,
    ERFINV,
    INTEGER_MATMUL,
    SIGN_BIT,
    COLOURS,
    GAMMA,
    EQUATIONS,
    SCALE_AND_TRANSLATE,
    SPARSE_MATMUL,
    ELEMENTARY,
)

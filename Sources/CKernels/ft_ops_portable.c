#define FT_OPS_TABLE ft_ops_portable
#include "ft_ops.inc"

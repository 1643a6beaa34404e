#include "ft_types.h"

#include "ft_blocks.h"

int32_t ft_type_block_elements(ft_type type) {
  switch (type) {
    case FT_TYPE_F32:
    case FT_TYPE_F16:
    case FT_TYPE_BF16:
      return 1;
    case FT_TYPE_Q4_0:
    case FT_TYPE_Q4_1:
    case FT_TYPE_Q5_0:
    case FT_TYPE_Q5_1:
    case FT_TYPE_Q8_0:
    case FT_TYPE_IQ4_NL:
      return FT_BLOCK_SMALL;
    case FT_TYPE_Q2_K:
    case FT_TYPE_Q3_K:
    case FT_TYPE_Q4_K:
    case FT_TYPE_Q5_K:
    case FT_TYPE_Q6_K:
      return FT_BLOCK_SUPER;
  }
  return 0;
}

int32_t ft_type_block_bytes(ft_type type) {
  switch (type) {
    case FT_TYPE_F32:
      return 4;
    case FT_TYPE_F16:
    case FT_TYPE_BF16:
      return 2;
    case FT_TYPE_Q4_0:
      return sizeof(ft_block_q4_0);
    case FT_TYPE_Q4_1:
      return sizeof(ft_block_q4_1);
    case FT_TYPE_Q5_0:
      return sizeof(ft_block_q5_0);
    case FT_TYPE_Q5_1:
      return sizeof(ft_block_q5_1);
    case FT_TYPE_Q8_0:
      return sizeof(ft_block_q8_0);
    case FT_TYPE_IQ4_NL:
      return sizeof(ft_block_iq4_nl);
    case FT_TYPE_Q2_K:
      return sizeof(ft_block_q2_k);
    case FT_TYPE_Q3_K:
      return sizeof(ft_block_q3_k);
    case FT_TYPE_Q4_K:
      return sizeof(ft_block_q4_k);
    case FT_TYPE_Q5_K:
      return sizeof(ft_block_q5_k);
    case FT_TYPE_Q6_K:
      return sizeof(ft_block_q6_k);
  }
  return 0;
}

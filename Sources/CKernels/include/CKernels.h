#ifndef CKERNELS_H
#define CKERNELS_H

#include "ft_types.h"
#include "ft_matrix.h"

#endif

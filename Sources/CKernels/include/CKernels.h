#ifndef CKERNELS_H
#define CKERNELS_H

#include "ft_matrix.h"
#include "ft_plan.h"
#include "ft_pool.h"
#include "ft_probe.h"
#include "ft_top.h"
#include "ft_types.h"

#endif

#include "ft_types.h"

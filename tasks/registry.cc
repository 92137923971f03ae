#include "tasks/registry.h"

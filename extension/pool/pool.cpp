#include "pool/pool.hpp"

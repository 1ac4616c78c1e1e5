#include "heap/heap.hpp"

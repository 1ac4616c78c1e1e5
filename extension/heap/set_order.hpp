// The order in which a set lists its members, which is that of its table.
#pragma once

#include "heap/cpython_layout.hpp"

namespace firn::heap {

// Gives a new set the order of the one that it was made of, which comes from the size of the table
// and, of members whose hashes collide, from who came first. Where hashes are not what they were,
// or several members have one, it has an order of its own.
void take_order(PySetObject* made, const PySetObject* source);

}  // namespace firn::heap

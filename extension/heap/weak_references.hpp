// Weak references to frozen values.
#pragma once

namespace firn::heap {

// Lets weakref.ref() and its subclasses refer to frozen values without writing to them, in all
// interpreters: to those whose originals take weak references. The main interpreter calls it once.
// False with an exception set.
bool teach_weak_references();

}  // namespace firn::heap

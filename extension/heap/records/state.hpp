// What an interpreter remembers of the classes of records: their special methods, and where an
// attribute is found. All of it belongs to one interpreter and is used under its GIL.
#pragma once

#include "heap/cpython_layout.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "heap/interpreter_local.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/layouts.hpp"
#include "heap/records/special_methods.hpp"

namespace firn::heap::records {

// Where a special method comes from.
enum class Origin : std::uint8_t {
  unknown,  // nobody has looked yet
  absent,
  none,     // None: the class says that it has no such method
  builtin,  // of object, list, dict ... in C, which wants an instance of its own type
  user,
};

// This interpreter's replica of a class.
struct Class {
  PyTypeObject* type = nullptr;  // a strong reference
  unsigned version = 0;          // the type's version tag that the methods are right for
  std::array<Origin, kSpecials> origins{};
  std::array<PyObject*, kSpecials> methods{};  // borrowed from the type
};

// How an attribute of the records of one layout is read.
enum class Access : std::uint8_t {
  field,
  item,        // of the tuple that a named tuple is
  method,      // something to be bound as a function is
  value,       // of the class
  descriptor,  // of the class: its __get__
  cached,      // a functools.cached_property
  own_class,   // __class__
  own_dict,    // __dict__
  inside,      // a member in C of the builtin type that the class derives from
  unset,       // a slot without a value
  absent,
};

// What is compared at every read, and where a field then is. Half a cache line.
struct alignas(32) CachedAccess {
  PyObject* name = nullptr;  // a strong reference
  PyTypeObject* type = nullptr;
  // The records that it is about: identity_of() them, and kOtherAccess if it is no field that is
  // the same for all interpreters.
  std::uint64_t records = 0;
  unsigned version = 0;
  std::uint32_t offset = 0;  // of the field in the record
};

// How an attribute is read that is no such field.
struct alignas(sizeof(CachedAccess)) AccessDetails {
  PyObject* found = nullptr;  // borrowed from the type, valid as long as its version is
  // A method that was bound last and may be bound again, or nullptr. As long as it is here, and
  // nobody else's, its record may be gone: the garbage collector does not see it (hazard 17).
  PyObject* bound = nullptr;
  std::uint32_t index = 0;  // of the field or item
  Access access = Access::absent;
};

// Kind, flags and layout of a record in one word, which says how its attributes are read.
inline std::uint64_t identity_of(const FrozenRecord* record) {
  static_assert(offsetof(FrozenRecord, kind) % 8 == 0 &&
                offsetof(FrozenRecord, fields) == offsetof(FrozenRecord, kind) + 8);
  std::uint64_t word;
  std::memcpy(&word, &record->kind, sizeof word);
  return word;
}
inline constexpr std::uint64_t kOtherAccess = std::uint64_t{1} << 31;  // no flag of a record

struct State {
  static constexpr std::size_t kEntries = 1024;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State();

  // Where an attribute is remembered, if it is.
  static std::size_t place_of(std::uint32_t layout, const PyObject* name) {
    const auto address = static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(name));
    constexpr std::uint32_t size = sizeof(CachedAccess);
    return (address + layout * size) / size % kEntries;
  }

  std::array<CachedAccess, kEntries> cache{};
  std::array<AccessDetails, kEntries> details{};  // of the same places
  std::vector<Class*> classes;                    // by number of the definition
  std::vector<std::shared_ptr<Maker>> makers;     // by layout
  std::array<PyObject*, kSpecials> names{};
  PyObject* class_name = nullptr;      // "__class__"
  PyObject* dict_name = nullptr;       // "__dict__"
  PyObject* weak_name = nullptr;       // "__weakref__"
  PyTypeObject* attributes = nullptr;  // what `__dict__` gives: a dict that refuses writes
  PyTypeObject* cached_property = nullptr;
  std::array<bool, 4> members_added{};  // to the dicts of the frozen types
  PyObject* denied = nullptr;           // frozenset of what the types' dicts deny
  PyObject* computed =
      nullptr;  // dict: offset of a record -> dict of what cached_property computed
};

[[gnu::visibility("hidden")]] extern InterpreterLocal<State> states;

// The calling interpreter's; nullptr with an exception set when it has given it up.
State* state();

// Makes the calling interpreter's. 0, or -1 with an exception set.
int make_state();

// The class of a record, up to date; nullptr with an exception set when the replica cannot be had.
Class* class_of(State& state, const FrozenRecord* record);

// Gives up a reference to a bound method that was in a place. May run code.
void give_up_binding(PyObject* bound);

// For each bound method that waits to be used again, the word that says which record it was bound
// to. Where no Python may be used.
void each_spare_binding(const PyInterpreterState* interpreter,
                        void (*visit)(void* context, PyObject** record), void* context);

// Says that a number means another class now in the calling interpreter.
void forget_class(std::uint32_t number);

// A special method of a record's class.
struct Found {
  Origin origin = Origin::unknown;  // unknown: an exception is set
  PyObject* method = nullptr;       // borrowed; user, builtin
  Class* of = nullptr;
};
Found find(PyObject* record, Special special);

// Calls a method of the class with the record as its self. A new reference.
PyObject* call(const Found& found, PyObject* record, PyObject* first = nullptr,
               PyObject* second = nullptr);

inline FrozenRecord* as_record(PyObject* object) { return reinterpret_cast<FrozenRecord*>(object); }

// The instance's whole __dict__, where the layout has it as one field.
inline PyObject* whole_dict(PyObject* record, const Layout& layout) {
  return as_record(record)->fields[layout.count - 1];
}

// Whether an object of one of the four types is a record.
inline bool has_record_kind(PyObject* face) {
  return static_cast<unsigned>(as_record(face)->kind) - static_cast<unsigned>(FaceKind::record) <=
         static_cast<unsigned>(FaceKind::set_record) - static_cast<unsigned>(FaceKind::record);
}

// Whether any object is one.
inline bool is_record(PyObject* object) {
  const auto from_first = reinterpret_cast<std::uintptr_t>(Py_TYPE(object)) - types_address;
  return from_first <= 3 * type_stride && has_record_kind(object);
}

// The type by which the protocols of operators go: a record's replica, anything else's own. Null
// with an exception set.
PyTypeObject* type_of(PyObject* object);

}  // namespace firn::heap::records

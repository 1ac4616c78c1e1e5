// Copies an object graph into the heap.
//
// A copier walks the graph with a stack of its own. Copying a leaf makes it; copying a container
// makes its shell, whose slots hold the *originals* of the children, and pushes a frame that then
// replaces them one by one. So an address exists before its children do (cycles), nothing recurses,
// and when something cannot be frozen the stack of frames is the path to it.
#pragma once

#include "heap/cpython_layout.hpp"

#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "heap/arena.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"
#include "heap/populator.hpp"
#include "heap/shapes.hpp"
#include "heap/types.hpp"

namespace firn::heap {

// Thrown when a value cannot be frozen; the copier's frames tell where it stands.
struct Unfreezable {
  PyObject* object;    // the original
  const char* suffix;  // what the path to it ends with, after the frames' part, or nullptr
};

// Thrown in a thread that has to stop because another one failed.
struct Abandoned {};

// What the slots of a frame are to its container.
enum class Role : std::uint8_t {
  unbuilt,   // of a dict whose table is not made yet
  elements,  // list, tuple, deque
  values,    // of a dict
  keys,      // of a dict
  members,   // of a set
  field,     // of a range, slice, timezone, datetime ...
};

struct Frame {
  PyObject* source;
  PyObject* copy;
  PyObject** slots;  // they hold originals from `index` on
  std::size_t index;
  std::size_t count;
  std::uint8_t stride;  // in pointers
  Role role;
  bool check;  // the copy goes through check_hashes() when it is complete
};

// Containers of this many slots are worth more than one thread.
inline constexpr std::size_t kWorthSharing = 4096;

// What all threads of one freeze share.
struct Freezing {
  explicit Freezing(Zone& heap_zone, const InterpreterTypes& interpreter, bool keep)
      : zone(heap_zone), types(interpreter), keep_lasting(keep) {}
  Zone& zone;
  Populator populator;  // before the regions that use it
  const InterpreterTypes& types;
  bool keep_lasting;  // what lies in a lasting segment stays the pointer it is
  Memo memo;
  std::atomic<bool> failed{false};
};

class Crew;

// One a thread.
class Copier {
 public:
  explicit Copier(Freezing& freezing)
      : freezing_(freezing), region_(freezing.zone, &freezing.populator) {}
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  // The address of the object's copy; run() completes it.
  PyObject* copy(PyObject* object);
  void run();

  Region& region() { return region_; }
  std::size_t objects() const { return objects_; }
  const std::vector<Frame>& frames() const { return frames_; }
  const std::vector<PyObject*>& unchecked() const { return unchecked_; }

  // The main thread's copier shares large containers out among a crew.
  void set_crew(Crew* crew) { crew_ = crew; }
  // The part [first, last) of another copier's frame.
  void copy_part(const Frame& frame, std::size_t first, std::size_t last);

 private:
  PyObject* make(PyObject* object, bool shared);
  PyObject* make_string(PyObject* object, bool shared);
  PyObject* make_bytes(PyObject* object, bool shared);
  PyObject* make_integer(PyObject* object, bool shared);
  PyObject* make_float(PyObject* object, bool shared);
  PyObject* make_complex(PyObject* object, bool shared);
  PyObject* make_list(PyObject* object, PyObject* const* items, std::size_t size, bool shared,
                      FaceKind kind = FaceKind::list);
  PyObject* make_tuple(PyObject* object, bool shared);
  PyObject* make_set(PyObject* object, bool shared);
  PyObject* make_deque(PyObject* object, bool shared);
  PyObject* make_dict(PyObject* object, FaceKind kind, bool shared);
  PyObject* make_builtin_frozendict(PyObject* object, bool shared);
  PyObject* make_range(PyObject* object, bool shared);
  PyObject* make_slice(PyObject* object, bool shared);
  PyObject* make_date_or_time(PyObject* object, bool shared);
  PyObject* make_timezone(PyObject* object, bool shared);
  PyObject* make_rare(PyObject* object, bool shared);
  PyObject* new_face(FaceKind kind, bool shared);
  void set_maxlen(PyObject* face, PyObject* maxlen);

  PyTupleObject* new_tuple(std::size_t size, bool shared);
  PyDictObject* new_dict(PyTypeObject* type, std::size_t size, bool shared);

  void build_table(std::size_t frame);
  PyObject* copy_key(PyObject* key);
  PyDictKeysObject* shared_keys(const PyDictUnicodeEntry* entries, std::size_t count);
  void build_row(Frame& frame, PyDictObject* dict, PyDictUnicodeEntry* entries, std::size_t count);
  void push(PyObject* source, PyObject* copy, PyObject** slots, std::size_t count,
            std::uint8_t stride, Role role, bool check = false);
  void complete(PyObject* copy);
  void share_out(const Frame& frame);

  char* allocate(std::size_t bytes) { return region_.allocate(bytes); }
  char* allocate_gc(std::size_t bytes);

  Freezing& freezing_;
  Crew* crew_ = nullptr;
  Region region_;
  std::size_t objects_ = 0;
  std::vector<Frame> frames_;
  Shapes by_source_;
  Shapes by_copy_;
  Strings strings_;
  std::vector<PyObject*> unchecked_;
};

}  // namespace firn::heap

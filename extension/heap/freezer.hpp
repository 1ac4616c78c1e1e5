// Copies an object graph into the heap.
//
// A copier walks the graph with a stack of its own. Copying a leaf makes it; copying a container
// makes its shell, whose slots hold the *originals* of the children, and pushes a frame that then
// replaces them one by one. So an address exists before its children do (cycles), and nothing
// recurses. When something cannot be frozen, it is looked for once more in order: then the stack of
// frames is the path to it.
//
// What needs Python is deferred: its original stays in the slot, which is noted. When the threads
// have joined, the main copier lets Python do its part and fills what was deferred (rounds.hpp),
// which may defer more.
#pragma once

#include "heap/cpython_layout.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "heap/arena.hpp"
#include "heap/buffers/frozen.hpp"
#include "heap/hashes.hpp"
#include "heap/interpreter.hpp"
#include "heap/memo.hpp"
#include "heap/optouts.hpp"
#include "heap/originals.hpp"
#include "heap/populator.hpp"
#include "heap/records/layouts.hpp"
#include "heap/records/plans.hpp"
#include "heap/row_keys.hpp"
#include "heap/shapes.hpp"
#include "heap/twins/resolved.hpp"
#include "heap/types.hpp"

namespace firn::heap {

// Thrown when a value cannot be frozen; the copier's frames tell where it stands.
struct Unfreezable {
  PyObject* object;    // the original
  const char* suffix;  // what the path to it ends with, after the frames' part, or nullptr
  const char* reason =
      nullptr;  // a sentence that says why and what to do, or nullptr for the usual
};

// Thrown with an exception set that goes to the caller as it is.
struct Raised {};

// Thrown in a thread that has to stop because another one failed.
struct Abandoned {};

// Thrown when Python has an interrupt to handle.
struct Interrupted {};

// What the slots of a frame are to its container.
enum class Role : std::uint8_t {
  unbuilt,   // of a dict whose table is not made yet
  elements,  // list, tuple, deque
  values,    // of a dict
  keys,      // of a dict
  members,   // of a set
  field,     // of a range, slice, timezone, datetime ...
  fields,    // of a record
  state,     // of a twin
};

// A slot that still holds an original, because its copy needs Python or an unknown class.
struct Deferred {
  PyObject** slot;
  PyObject* original;
  PyObject* container;  // the copy that the slot is in
  Role role;
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

// What a copier has still to do: see walk.cpp.
struct Work {
  // The innermost last: each waits for those after it. A path, when the walk is in order.
  std::vector<Frame> frames;
  // Begun or not, in any order; those before `first` are gone. The oldest are the largest parts.
  std::vector<Frame> later;
  std::size_t first = 0;
  // A queue: what their slots refer to has been asked for, and comes from memory meanwhile.
  static constexpr std::size_t kSoon = 16;
  std::array<Frame, kSoon> soon;
  std::size_t soon_first = 0;
  std::size_t soon_size = 0;

  bool has_later() const { return first < later.size(); }
};

// Containers of this many slots are worth more than one thread.
inline constexpr std::size_t kWorthSharing = 4096;

class Crew;
class Handover;
class PythonPart;
enum class Alike : std::uint32_t;
struct PackedNumbers;

// What all threads of one freeze share.
struct Freezing {
  Freezing(Zone& heap_zone, const InterpreterTypes& interpreter, PythonPart& python_part,
           Memo& copied, bool transfer_only, bool make_numbers, bool in_order)
      : zone(heap_zone),
        types(interpreter),
        python(python_part),
        memo(copied),
        transfer(transfer_only),
        orderly(in_order),
        shells(own_shells()),
        has_twins(shells != nullptr),
        plans(interpreter, make_numbers) {}
  Zone& zone;
  Populator populator;  // before the regions that use it
  const InterpreterTypes& types;
  PythonPart& python;  // read only while threads copy
  Memo& memo;
  const bool transfer;                      // what needs Python is refused
  const bool orderly;                       // one thread, children at once: frames are a path
  const OptOuts* const marks = opt_outs();  // nullptr when no object is marked
  bool looking = false;  // an attempt that only looks for the path to what python.culprit is
  bool keeps_originals = false;  // which original each copy was made from is wanted
  const std::unique_ptr<const OwnShells> shells;  // nullptr: the interpreter has none
  bool has_twins;                                 // changes while one thread copies
  Plans plans;                                    // read only while threads copy
  buffers::Blocks blocks;                         // changes while one thread copies
  std::vector<const PyObject*> roots;  // sorted, unless nobody asks who else holds originals
  Originals::Pairs originals;          // changes while one thread copies
  std::atomic<bool> failed{false};
};

// The layouts that a thread has met of one class.
struct KnownLayouts {
  // Of inline values, or a dict that shares the class's keys: the latest, by which keys are set.
  const PyDictKeysObject* keys = nullptr;
  std::size_t count = 0;
  std::uint8_t order[SHARED_KEYS_MAX_SIZE];
  const Layout* layout = nullptr;
  // Of any dict, by the addresses of its keys.
  LayoutShapes by_keys;
};

// One a thread.
class Copier {
 public:
  explicit Copier(Freezing& freezing)
      : freezing_(freezing), region_(freezing.zone, &freezing.populator) {}
  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;

  // The address of the object's copy, which run() completes; nullptr when it has to be deferred.
  PyObject* copy(PyObject* object);
  void run();
  // The same for a slot; it keeps the original when that has to be deferred.
  void fill(PyObject** slot, PyObject* original, PyObject* container, Role role);

  // ---- for what makes copies of its own ----

  char* allocate(std::size_t bytes) { return region_.allocate(bytes); }
  // With the two words in front that types with a collector have.
  char* allocate_gc(std::size_t bytes);
  // run() will replace the originals in the slots, every `stride` pointers, by their copies.
  void push(PyObject* source, PyObject* copy, PyObject** slots, std::size_t count,
            std::uint8_t stride, Role role, bool check = false);
  void count_object() { ++objects_; }
  // A frozen container with nothing in it yet.
  PyObject* new_face(FaceKind kind, bool shared);
  // An exact tuple; the slots are not written, and it has no hash.
  PyTupleObject* new_tuple(std::size_t size, bool shared);
  // Who freezes goes on with the very object that the twin is made from.
  void keep_original(PyObject* twin, PyObject* original) { kept_.emplace_back(twin, original); }
  // A method is bound to what the twin's parts hold: check_methods().
  void note_method(PyObject* twin, PyObject* original) { methods_.emplace_back(twin, original); }
  // What is frozen needs this class or function in every interpreter.
  void note_definition(std::uint32_t number);
  // It refers to this, which lies in a lasting segment.
  void note_lasting(const void* object);
  Freezing& freezing() { return freezing_; }

  Region& region() { return region_; }
  std::size_t objects() const { return objects_; }
  // The copies of what is no leaf, with their originals, when freezing().keeps_originals. Who takes
  // them sees to it that the originals live.
  Originals::Pairs take_originals() { return std::exchange(originals_, {}); }
  // How many references to originals below the roots there were that this copier did not meet. Of
  // several copiers the sum counts.
  std::ptrdiff_t held() const { return held_; }
  // The path to where the copier is, when freezing().orderly.
  const std::vector<Frame>& frames() const { return work_.frames; }
  bool left_order() const { return left_order_; }
  const std::vector<Unchecked>& unchecked() const { return unchecked_; }
  const std::vector<std::uint32_t>& definitions() const { return definitions_; }
  const std::vector<std::uint64_t>& segments() const { return segments_; }
  std::vector<Deferred>& deferred() { return deferred_; }
  const std::vector<std::pair<PyObject*, PyObject*>>& kept() const { return kept_; }
  const std::vector<std::pair<PyObject*, PyObject*>>& methods() const { return methods_; }
  // Tuples and the like that hold twins: they cannot stay what they are.
  const std::vector<PyObject*>& with_twins() const { return with_twins_; }

  // Copying stops when this is set.
  static constexpr int kNoInterrupt = 0;
  void watch(const int* interrupt) { interrupt_ = interrupt; }
  void check_interrupt() const {
    if (__atomic_load_n(interrupt_, __ATOMIC_RELAXED)) [[unlikely]]
      throw Interrupted{};
  }

  // Whether classes may be looked at: with the GIL, while no other thread copies.
  void set_alone(bool alone) { alone_ = alone; }
  // Python code has run: what is known by the addresses of originals that nobody holds is wrong.
  void forget_sources();

  // The main thread's copier shares large containers and deep ones out among a crew; returns what
  // was set before.
  Crew* set_crew(Crew* crew) { return std::exchange(crew_, crew); }
  // While several threads copy: where it leaves work for those that have none.
  void set_handover(Handover* handover) { handover_ = handover; }
  // Another copier's frame, or the part [first, last) of one, whatever else there is to do.
  void copy_apart(const Frame& frame);
  void copy_part(const Frame& frame, std::size_t first, std::size_t last);
  // Some of the slots that were deferred.
  void fill_part(const std::vector<Deferred>& values, std::size_t first, std::size_t last);

 private:
  PyObject* copy_leaf(PyObject* object);
  void count_references(PyObject* original, PyObject* copy, bool made);
  PyObject* make_noted(PyObject* object, bool shared);
  std::size_t copy_leaves(PyObject* const* items, std::size_t count, PyObject** copies);
  PyObject* make(PyObject* object, bool shared);
  PyObject* make_string(PyObject* object, bool shared);
  PyObject* make_bytes(PyObject* object, bool shared);
  PyObject* make_integer(PyObject* object, bool shared);
  PyObject* make_float(PyObject* object, bool shared);
  PyObject* make_complex(PyObject* object, bool shared);
  PyObject* make_list(PyObject* object, PyObject* const* items, std::size_t size, bool shared,
                      FaceKind kind = FaceKind::list);
  PyObject* make_numbers(PyObject* const* items, std::size_t count, bool shared);
  PyObject* make_rows(PyObject* const* rows, std::size_t count, bool shared);
  PackedNumbers* new_packed(Alike what, std::size_t count, std::size_t values, bool shared);
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
  PyObject* make_instance(PyObject* object, bool shared);
  void check_marks(PyObject* object);
  PyObject* make_record(const Plan& plan, PyObject* object, bool shared);
  FrozenRecord* new_record(const Layout& layout, PyTypeObject* type, bool shared);
  void make_inner(FrozenRecord* record, PyObject* object, PyObject* inner);
  PyObject* copy_frozen_record(PyObject* object, bool shared);
  PyObject* make_with_python(PyObject* object, bool shared);
  // The shell that this tuple, frozenset ... was made from, or nullptr.
  PyObject* known_shell(PyObject* object);
  const Layout* find_layout(const Plan& plan, const Plan::Attributes& attributes);
  const Layout* make_layout(const Plan& plan, const Plan::Attributes& attributes);
  void defer(PyObject** slot, PyObject* original, PyObject* container, Role role);
  void note_twin(PyObject* container, Role role);
  void set_maxlen(PyObject* face, PyObject* maxlen);

  PyDictObject* new_dict(PyTypeObject* type, std::size_t size, bool shared);
  PySetObject* new_set(const PySetObject* original, bool shared);
  void push_members(PyObject* source, PyObject* copy, PySetObject* set);

  void build_table(std::size_t frame);
  PyObject* copy_key(PyObject* key);
  PyDictKeysObject* shared_keys(const PyDictUnicodeEntry* entries, std::size_t count);
  void build_row(Frame& frame, PyDictObject* dict, PyDictUnicodeEntry* entries, std::size_t count);
  void complete(const Frame& frame);
  void share_out(const Frame& frame);
  void prefetch_slots(const Frame& frame, std::size_t first) const;
  static void prefetch_behind(const Frame& frame);
  void prepare(const Frame& frame);
  void put_off(std::size_t depth, std::size_t before);
  void walk(std::size_t before);
  void hand_over();

  Freezing& freezing_;
  const int* interrupt_ = &kNoInterrupt;
  Crew* crew_ = nullptr;
  Region region_;
  std::size_t objects_ = 0;
  std::ptrdiff_t held_ = 0;
  Work work_;
  bool left_order_ = false;
  Handover* handover_ = nullptr;
  std::size_t objects_alone_ = 0;  // how many there were when others helped last
  std::size_t objects_kept_ = 0;   // how many there were when something was handed over last
  RowKeys row_keys_;
  std::vector<Unchecked> unchecked_;
  std::vector<PyObject*> with_twins_;
  std::vector<Deferred> deferred_;
  std::vector<std::pair<PyObject*, PyObject*>> kept_;     // twins and their originals
  std::vector<std::pair<PyObject*, PyObject*>> methods_;  // the same of bound methods
  Originals::Pairs originals_;
  std::vector<std::uint32_t> definitions_;  // each once
  std::vector<std::uint64_t> segments_;     // lasting ones that the copies refer to, each once
  Extent last_lasting_;
  std::vector<KnownLayouts> layouts_;  // by the plan's index
  bool alone_ = true;
};

}  // namespace firn::heap

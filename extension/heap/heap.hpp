// The frozen heap, as the layers above see it.
#pragma once

#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace firn::heap {

struct Figures {
  std::size_t objects = 0;
  std::size_t bytes = 0;
  double seconds = 0;
  std::uint64_t segment = 0;  // 0 when nothing new was frozen
};

struct Description {
  std::uint64_t segment = 0;
  std::vector<std::string> names;  // the variables that were frozen into the segment
  std::string cell;                // "[12]", or empty
};

// Prepares the calling interpreter, the main one first: the frozen types, the types that it looks
// for and the layouts it relies on. Returns 0, or -1 with an exception set.
int init_interpreter();

// Whether the address lies in the heap. O(1), any thread.
bool contains(const void* address);

// Whether the value is frozen, or shared by all interpreters as it is (None, small integers,
// builtin types).
bool is_frozen(PyObject* object);

// Whether a frozen value can begin at the address. Any thread.
bool is_adoptable(const void* address);

// What is known of the segment that the address lies in; empty outside lasting segments. Any
// thread.
std::optional<Description> describe(const void* address);

// The error class NotFreezableError of the calling interpreter (borrowed), or nullptr with an
// exception set.
PyObject* not_freezable_error();

// Where a segment's pages are: `moving` to a file, or `kept` in memory because they could not.
enum class Backing { memory, moving, file, kept };

struct SegmentInfo {
  std::uint64_t id = 0;
  std::vector<std::string> names;
  std::string cell;
  std::size_t objects = 0;
  std::size_t bytes = 0;
  double seconds = 0;
  double time = 0;  // when it was frozen, seconds since the epoch
  Backing backing = Backing::memory;
  bool retired = false;
  std::uintptr_t holder = 0;  // retired: where the last scan found a pointer into it, or 0
};

std::vector<SegmentInfo> list_segments();
bool set_cell(std::uint64_t segment, std::string cell);  // false: no such segment

// How many lasting segments there ever were; their ids are 1 to this. Those that were given back
// are not listed, and no other one gets their id.
std::uint64_t count_segments();

// The lasting segments that the addresses lie in, each once, ascending.
std::vector<std::uint64_t> segments_of(const std::vector<const void*>& addresses);

// The classes and functions, by their numbers (records/definitions.hpp), that the values of these
// segments and of those they lead to need, ascending.
std::vector<std::uint32_t> definitions_of(const std::vector<std::uint64_t>& segments);

// These segments, and those that their values lead to, ascending.
std::vector<std::uint64_t> segments_below(const std::vector<std::uint64_t>& segments);

// Says that segments are to be retired: what freezes from now on is not made a part of them any
// more, and every interpreter may let go of what it keeps for them (drop_unneeded()). Any thread.
void begin_retirement(const std::vector<std::uint64_t>& segments);

// The calling interpreter lets go of what it keeps for retired segments and nobody else holds:
// what it has made of twins would point into the segment for ever. Whoever touches such a twin
// again gets another object, which in the notebook nobody can tell from the first; in a worker,
// what it had changed of its own object is lost. Runs code of objects' classes.
void drop_unneeded();

// Gives back the memory of lasting segments. A scan of the process (scan/scan.hpp) finds those that
// nothing points into any more: their addresses are unmapped, and used again. The others' pages
// move to unlinked files in $FIRN_SPOOL (else $TMPDIR, else /var/tmp), mapped over the same
// addresses while others read, so that every pointer stays valid; they are looked for again with
// the next segments that retire, and by rescan(). Segments that fill a few pages only stay in
// memory. Returns after the milliseconds that copying the process takes; the rest is done by a
// thread that touches no Python. Nobody waits for a disk: a process that ends leaves neither files
// nor work behind. With the GIL.
void retire(const std::vector<std::uint64_t>& segments);

// Looks again for retired segments that nothing points into any more. `now`: as soon as the scan
// under way has ended, if there is one; else when that costs little of the process's time. With the
// GIL; without it none if `now` is false.
void rescan(bool now);

// Waits until nothing is being scanned or moved, at most so many seconds. Without the GIL.
bool wait_for_retirement(double seconds);

// Gives the system the pages that were kept for what is frozen next.
void cool();

struct ScanFigures {
  std::uint64_t scans = 0;  // that came to an end
  std::uint64_t freed = 0;  // segments given back since the process began
  std::uint64_t freed_bytes = 0;
  double stopped_seconds = 0;  // how long the last scan stopped the threads
  double seconds = 0;          // what it took in its own process
  std::uint64_t bytes = 0;     // and looked at
  std::string problem;         // why the last one had no result; empty: all is well
};
ScanFigures scan_figures();

struct SpoolProblem {
  std::string folder;
  std::string reason;  // empty: all is well
};

// Why retired segments stay in memory (Backing::kept). They are tried again with the next one.
SpoolProblem spool_problem();

class Forms;
class Originals;

struct FreezeResult {
  std::vector<PyObject*> frozen;         // one a root
  std::shared_ptr<Forms> forms;          // if they are wanted
  std::shared_ptr<Originals> originals;  // if they are to be kept
  Figures figures;
};

struct FreezeOptions {
  bool keeps_forms = false;      // what was frozen to what will be asked for
  bool keeps_originals = false;  // the notebook goes on using all of it as it is, see Originals
  unsigned threads = 0;          // 0: every core that the process may use
};

// Freezes the roots into one lasting segment: deep, all or nothing. The names head the paths of
// errors and are kept for messages. What is frozen lives for ever: the pointers need no count.
// Returns nothing with an exception set (NotFreezableError, MemoryError).
std::optional<FreezeResult> freeze_roots(
    const std::vector<std::pair<std::string, PyObject*>>& roots, const FreezeOptions& options = {});

// A mutable deep copy (new reference), or nullptr with an exception set. Plain lists, tuples, dicts
// and sets are copied too, so that the frozen values in them become mutable; anything else stays
// itself.
PyObject* thaw(PyObject* object);

// A frozen container or record as an ordinary object whose elements and attributes are the frozen
// ones (new reference); anything else as it is. nullptr with an exception set.
PyObject* shallow(PyObject* object);

// An iterator over the items from `start` to `stop` (exclusive, 0 <= start <= stop), of a frozen
// list or tuple without a copy. A new reference; nullptr with an exception set.
PyObject* iterate_part(PyObject* sequence, Py_ssize_t start, Py_ssize_t stop);

struct TransferSegment;

// Owns a transfer segment: values on their way between two interpreters. Its memory is used again
// when it is destroyed. Movable between threads; needs no GIL.
class Transfer {
 public:
  explicit Transfer(std::unique_ptr<TransferSegment> segment);
  Transfer(Transfer&& other) noexcept;
  Transfer& operator=(Transfer&& other) noexcept;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer();

  const TransferSegment& segment() const { return *segment_; }
  Figures figures() const;

 private:
  std::unique_ptr<TransferSegment> segment_;
};

// Freezes a value for its journey; lasting frozen values in it stay the pointers they are. With the
// GIL of any interpreter. Nothing with an exception set (NotFreezableError, MemoryError).
std::optional<Transfer> freeze_transfer(PyObject* root);

// Ordinary mutable objects (new reference), none of which points into the transfer's memory;
// nullptr with an exception set.
PyObject* thaw_transfer(const Transfer& transfer);

}  // namespace firn::heap

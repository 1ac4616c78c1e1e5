#include "heap/scan/scan.hpp"

#include "heap/cpython_layout.hpp"

#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <limits>
#include <new>

#include "heap/arena.hpp"
#include "heap/scan/dead_memory.hpp"
#include "heap/scan/guarded.hpp"
#include "heap/scan/memory_map.hpp"
#include "heap/scan/stopped_world.hpp"
#include "heap/segments.hpp"

namespace firn::heap {
namespace {

constexpr std::uintptr_t kPage = 4096;
constexpr std::size_t kMapsBytes = std::size_t{16} << 20;
constexpr std::size_t kStackBytes = std::size_t{1} << 20;
constexpr std::size_t kReferBytes = std::size_t{16} << 20;
constexpr double kPatience = 120;  // seconds that the scanning process gets

enum Status : int { kDone = 0, kFaulted = 3, kConfused = 4, kNoMemory = 5 };

double now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

// What the scanning process tells; offsets and numbers only, for it is memory that is scanned.
struct Scan::Shared {
  std::atomic<std::uint32_t> private_from_here;  // the threads may go on
  double seconds;
  std::uint64_t bytes;
  std::size_t segments;
  std::size_t refers;  // words in use
  std::size_t refers_capacity;
  char problem[120];

  struct Verdict {
    std::uint64_t id;
    std::uintptr_t holder;  // where the first pointer was found; 0: in other frozen data
    bool retired;
    bool referenced;
    bool unreached;
  };
  Verdict* verdicts() { return reinterpret_cast<Verdict*>(this + 1); }
  // For each segment that was looked at: its id, how many others follow, those.
  std::uint64_t* refers_words() { return reinterpret_cast<std::uint64_t*>(verdicts() + segments); }
};

namespace {

// What lies where, by offsets in the heap.
struct Run {
  std::size_t first;
  std::size_t last;
  std::size_t segment;  // index
};

// What is kept for a segment points into a segment.
struct Link {
  std::size_t from;  // indices
  std::size_t to;
  std::uintptr_t at;
};

// The scanning process. Owns the copy of the process's memory, and changes what is dead in it.
template <typename Shared>
class Scanner {
 public:
  Scanner(Shared& shared, const StoppedWorld& world, const Caller& caller,
          const std::vector<KeptMemory>& kept, const PageVector<char>& maps, char* own_stack)
      : shared_(shared),
        world_(world),
        caller_(caller),
        kept_(kept),
        maps_(maps),
        own_stack_(own_stack) {}

  int run() {
    const double began = now();
    if (!pages_.is_open()) return confused("/proc/self/pagemap cannot be read");
    find_segments();
    parse_maps(maps_, mappings_);
    for (const Mapping& mapping : mappings_) {
      if (mapping.shared && is_source(mapping)) scan_shared(mapping);
    }
    shared_.private_from_here = 1;
    syscall(SYS_futex, &shared_.private_from_here, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    if (const char* problem = missing()) return confused(problem);

    wipe_dead();
    set_kept_aside();
    for (const Mapping& mapping : mappings_) {
      if (!mapping.shared && is_source(mapping)) scan_mapping(mapping);
    }
    scan_heap();
    follow_segments();
    shared_.seconds = now() - began;
    return kDone;
  }

 private:
  int confused(const char* problem) {
    std::strncpy(shared_.problem, problem, sizeof shared_.problem - 1);
    shared_.private_from_here = 1;
    syscall(SYS_futex, &shared_.private_from_here, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    return kConfused;
  }

  // ---- segments ----

  void find_segments() {
    low_ = std::numeric_limits<std::size_t>::max();
    for (std::size_t i = 0; i < shared_.segments; ++i) {
      const SegmentView view = view_segment(i);
      shared_.verdicts()[i] = {view.id, 0, view.retired, false, false};
      for (const Span& span : *view.spans) runs_.push_back({span.first, span.last, i});
      if (!view.retired) continue;
      ++wanted_;
      for (const Span& span : *view.spans) {
        low_ = std::min(low_, span.first);
        high_ = std::max(high_, span.last);
      }
    }
    std::sort(runs_.begin(), runs_.end(),
              [](const Run& a, const Run& b) { return a.first < b.first; });
  }

  const Run* locate(std::size_t offset) {
    if (offset >= last_.first && offset < last_.last) return &last_;
    const auto after =
        std::upper_bound(runs_.begin(), runs_.end(), offset,
                         [](std::size_t wanted, const Run& run) { return wanted < run.first; });
    if (after == runs_.begin() || offset >= (after - 1)->last) return nullptr;
    last_ = *(after - 1);
    return &last_;
  }

  void mark(std::size_t segment, std::uintptr_t holder) {
    auto& verdict = shared_.verdicts()[segment];
    if (!holder) verdict.holder = 0;  // other frozen data says more than a word, which may be old
    if (!verdict.retired || verdict.referenced) return;
    verdict.referenced = true;
    verdict.holder = holder;
    --wanted_;
    marked_.push_back(segment);
  }

  // ---- words ----

  // Strings and integers hold four bytes of their own next to four that nobody sets, which may be
  // half of an address that was there before. `first`: where the reading began.
  static bool is_half_set(std::uintptr_t at, std::uintptr_t first) {
    const auto* const words = reinterpret_cast<const std::uintptr_t*>(at);
    if (at % sizeof *words) return false;
    if (at >= first + 24 && words[-3] == reinterpret_cast<std::uintptr_t>(&PyUnicode_Type)) {
      // The state of a compact string of one byte a character; no object is at such an address.
      return (words[0] & 0x3c) == 0x24;
    }
    // An integer of one digit, behind its type and its size.
    return at >= first + 16 && words[-2] == reinterpret_cast<std::uintptr_t>(&PyLong_Type) &&
           words[-1] >> _PyLong_NON_SIZE_BITS == 1;
  }

  // Calls hit(address, offset) for every word that points into [low, high) of the heap.
  template <std::size_t step = sizeof(std::uintptr_t), typename Hit>
  __attribute__((no_sanitize("address", "undefined"))) static void each_pointer(
      std::uintptr_t begin, std::uintptr_t end, std::size_t low, std::size_t high, const Hit& hit) {
    if (end < begin + sizeof(std::uintptr_t)) return;
    end -= sizeof(std::uintptr_t) - 1;
    const auto base = reinterpret_cast<std::uintptr_t>(heap_base) + low;
    const std::uintptr_t size = high - low;
    std::uintptr_t at = begin;
    if constexpr (step == sizeof(std::uintptr_t)) {
      for (; at + 8 * step <= end; at += 8 * step) {
        const auto* words = reinterpret_cast<const std::uintptr_t*>(at);
        bool any = false;
        for (int i = 0; i < 8; ++i) any |= words[i] - base < size;
        if (!any) continue;
        for (int i = 0; i < 8; ++i) {
          const std::uintptr_t here = at + 8 * static_cast<unsigned>(i);
          if (words[i] - base < size && !is_half_set(here, begin)) hit(here, words[i] - base + low);
        }
      }
    }
    for (; at < end; at += step) {
      std::uintptr_t word;
      std::memcpy(&word, reinterpret_cast<const void*>(at), sizeof word);
      if (word - base < size && !is_half_set(at, begin)) hit(at, word - base + low);
    }
  }

  template <std::size_t step>
  void scan_words(std::uintptr_t begin, std::uintptr_t end) {
    while (begin < end && wanted_) {
      std::uintptr_t fault = 0;
      const bool read = guarded(
          [&] {
            each_pointer<step>(begin, end, low_, high_, [&](std::uintptr_t at, std::size_t offset) {
              if (const Run* run = locate(offset)) mark(run->segment, at);
            });
          },
          &fault);
      shared_.bytes += end - begin;
      if (read) return;
      // A guard page of a stack, or a file that has become shorter.
      if (fault < begin || fault >= end) _exit(kFaulted);
      begin = (fault / kPage + 1) * kPage;
    }
  }

  // Of private memory: what was never touched is not looked at.
  template <std::size_t step = sizeof(std::uintptr_t)>
  void scan_present(std::uintptr_t begin, std::uintptr_t end) {
    std::uintptr_t first, last;
    for (; begin < end && wanted_; begin = last) {
      if (!pages_.next(begin, end, first, last)) _exit(kConfused);
      if (first < last) scan_words<step>(first, last);
    }
  }

  // ---- mappings ----

  bool is_source(const Mapping& mapping) const {
    if (!mapping.readable || mapping.device) return false;
    if (in_heap(reinterpret_cast<const void*>(mapping.begin))) return false;
    // What a program has written and then made read-only or executable counts; a file does not hold
    // addresses, but for the data of libraries.
    return mapping.anonymous || (mapping.writable && !mapping.shared);
  }

  void scan_mapping(const Mapping& mapping) {
    const auto own = reinterpret_cast<std::uintptr_t>(own_stack_);
    if (mapping.begin <= own && own < mapping.end) {
      scan_present(mapping.begin, own);
      scan_present(own + kStackBytes, mapping.end);
    } else if (mapping.executable) {
      scan_present<1>(mapping.begin, mapping.end);  // code holds addresses at any place
    } else {
      scan_present(mapping.begin, mapping.end);
    }
  }

  // Memory that is shared with other processes goes on changing: scanned while the threads stand.
  void scan_shared(const Mapping& mapping) {
    unsigned char present[1024];
    for (std::uintptr_t at = mapping.begin; at < mapping.end; at += sizeof present * kPage) {
      const std::uintptr_t end = std::min(mapping.end, at + sizeof present * kPage);
      if (mincore(reinterpret_cast<void*>(at), end - at, present)) std::memset(present, 1, 1024);
      for (std::uintptr_t page = at; page < end; page += kPage) {
        if (present[(page - at) / kPage] & 1) scan_words<8>(page, page + kPage);
      }
    }
  }

  // What the copy lacks: fork leaves out what madvise(MADV_DONTFORK) names.
  const char* missing() {
    PageVector<char> text;
    text.reserve(kMapsBytes);
    PageVector<Mapping> own;
    if (!read_maps(text)) return "/proc/self/maps cannot be read";
    parse_maps(text, own);
    std::size_t next = 0;
    for (const Mapping& mapping : mappings_) {
      if (!is_source(mapping)) continue;
      for (std::uintptr_t at = mapping.begin; at < mapping.end;) {
        while (next < own.size() && own[next].end <= at) ++next;
        if (next == own.size() || own[next].begin > at) {
          return "a part of memory is excluded from copies of the process (MADV_DONTFORK)";
        }
        at = own[next].end;
      }
    }
    // A Python thread whose registers are unknown.
    bool unknown = false;
    guarded([&] {
      for (const PyInterpreterState* interpreter = _PyRuntime.interpreters.head; interpreter;
           interpreter = interpreter->next) {
        for (const PyThreadState* state = interpreter->threads.head; state; state = state->next) {
          for (pid_t thread : world_.running()) {
            unknown |= state->native_thread_id == static_cast<unsigned long>(thread);
          }
        }
      }
    });
    return unknown ? "a Python thread blocks all signals" : nullptr;
  }

  void wipe_dead() {
    const Dead dead{[](void* self, std::uintptr_t begin, std::uintptr_t end) {
                      static_cast<Scanner*>(self)->wipe(begin, end);
                    },
                    this};
    wipe_stacks(dead, world_, caller_);
    wipe_python(dead, caller_);
    wipe_malloc(dead, caller_, mappings_);
  }

  // Called within guarded().
  void wipe(std::uintptr_t begin, std::uintptr_t end) {
    if (begin >= end) return;
    if (const std::uintptr_t part = begin % 8) {  // the end of a text
      each_pointer(begin - part, begin - part + 8, low_, high_,
                   [&](std::uintptr_t at, std::size_t) {
                     std::memset(reinterpret_cast<char*>(at) + part, 0, 8 - part);
                   });
      begin += 8 - part;
    }
    if (end - begin < 16 * kPage) return wipe_words(begin, end);
    std::uintptr_t first, last;
    for (; begin < end; begin = last) {
      if (!pages_.next(begin / kPage * kPage, end, first, last)) return;
      if (first < last) wipe_words(std::max(first, begin), std::min(last, end));
      if (last <= begin) return;
    }
  }

  void wipe_words(std::uintptr_t begin, std::uintptr_t end) {
    each_pointer(begin, end, low_, high_, [](std::uintptr_t at, std::size_t) {
      *reinterpret_cast<std::uintptr_t*>(at) = 0;
    });
  }

  // Notes where kept memory points, and wipes that out: it counts with the segment it is kept for.
  void set_kept_aside() {
    for (const KeptMemory& memory : kept_) {
      const Run* owner = locate(memory.owner);
      if (!owner) continue;
      const std::size_t from = owner->segment;
      guarded([&] {
        each_pointer(memory.begin, memory.end, low_, high_,
                     [&](std::uintptr_t at, std::size_t offset) {
                       if (const Run* to = locate(offset))
                         links_.push_back({from, to->segment, at});
                     });
      });
    }
    // Not before all are noted: an object may be kept for values of several segments.
    for (const Link& link : links_) *reinterpret_cast<std::uintptr_t*>(link.at) = 0;
    const auto place = [](const Link& link) { return std::pair(link.from, link.to); };
    std::sort(links_.begin(), links_.end(),
              [&](const Link& a, const Link& b) { return place(a) < place(b); });
    const auto last = std::unique(links_.begin(), links_.end(), [&](const Link& a, const Link& b) {
      return place(a) == place(b);
    });
    links_.resize(static_cast<std::size_t>(last - links_.begin()));
  }

  // ---- the heap ----

  // What is neither free nor in a segment: transfers under way, and what is being frozen.
  void scan_heap() {
    for (Zone* zone : {&lasting_zone(), &transfer_zone()}) {
      zone->each_area([&](const Area& area) {
        PageVector<Span> known;
        area.each_free([&](const Span& span) { known.push_back(span); });
        const Span used = area.used();
        for (const Run& run : runs_) {
          if (run.first >= used.first && run.last <= used.last) {
            known.push_back({run.first, run.last});
          }
        }
        std::sort(known.begin(), known.end(),
                  [](const Span& a, const Span& b) { return a.first < b.first; });
        std::size_t at = used.first;
        for (const Span& span : known) {
          if (span.first > at) scan_present(address(at), address(span.first));
          at = std::max(at, span.last);
        }
        if (used.last > at) scan_present(address(at), address(used.last));
      });
    }
  }

  // What segments refer to was true when they were written, and is for ever.
  void follow_segments() {
    for (std::size_t i = 0; i < shared_.segments; ++i) {
      const SegmentView view = view_segment(i);
      if (!view.refers_known) find_references(i, view);
      if (!view.retired) mark_references(i, view);
    }
    follow_marked();
    // To the rest leads at most what is kept for them.
    for (const Link& link : links_) {
      auto& from = shared_.verdicts()[link.from];
      from.unreached = from.retired && !from.referenced;
    }
    for (const Link& link : links_) mark(link.to, link.at);
    follow_marked();
  }

  void follow_marked() {
    while (!marked_.empty() && wanted_) {
      const std::size_t segment = marked_.back();
      marked_.resize(marked_.size() - 1);
      mark_references(segment, view_segment(segment));
      for (const Link& link : links_) {
        if (link.from == segment) mark(link.to, link.at);
      }
    }
  }

  void find_references(std::size_t segment, const SegmentView& view) {
    const std::size_t start = shared_.refers;
    std::uint64_t* const words = shared_.refers_words();
    const std::size_t most = shared_.refers_capacity;
    if (start + 2 + shared_.segments > most) _exit(kNoMemory);
    std::size_t count = 0;
    found_.resize(shared_.segments);
    for (const Span& span : *view.spans) {
      std::uintptr_t first, last;
      for (std::uintptr_t at = address(span.first), end = address(span.last); at < end; at = last) {
        if (!pages_.next(at, end, first, last)) _exit(kConfused);
        if (first == last) continue;
        const bool read = guarded([&] {
          each_pointer(first, last, 0, kLastingBytes, [&](std::uintptr_t, std::size_t offset) {
            const Run* run = locate(offset);
            if (!run || run->segment == segment || found_[run->segment] == segment + 1) return;
            found_[run->segment] = segment + 1;
            words[start + 2 + count++] = run->segment;
          });
        });
        if (!read) _exit(kFaulted);
        shared_.bytes += last - first;
      }
    }
    words[start] = segment;
    words[start + 1] = count;
    shared_.refers = start + 2 + count;
    refers_of_.resize(shared_.segments);
    refers_of_[segment] = start + 1;
  }

  void mark_references(std::size_t segment, const SegmentView& view) {
    if (view.refers_known) {
      for (const std::uint64_t id : *view.refers) {
        const std::size_t other = index_of_segment(id);
        if (other < shared_.segments) mark(other, 0);
      }
      return;
    }
    const std::uint64_t* const list = shared_.refers_words() + refers_of_[segment];
    for (std::uint64_t i = 0; i < list[0]; ++i) mark(list[1 + i], 0);
  }

  static std::uintptr_t address(std::size_t offset) {
    return reinterpret_cast<std::uintptr_t>(heap_base) + offset;
  }

  Shared& shared_;
  const StoppedWorld& world_;
  const Caller caller_;
  const std::vector<KeptMemory>& kept_;
  const PageVector<char>& maps_;
  char* const own_stack_;
  PageMap pages_;
  PageVector<Mapping> mappings_;
  PageVector<Run> runs_;
  PageVector<Link> links_;  // ascending, each once
  PageVector<std::size_t> marked_;
  PageVector<std::size_t> found_;      // by segment: one more than the segment that refers to it
  PageVector<std::size_t> refers_of_;  // by segment: where its list stands
  Run last_{0, 0, 0};
  std::size_t low_ = 0;  // all retired segments are in [low, high)
  std::size_t high_ = 0;
  std::size_t wanted_ = 0;  // retired segments without a known reference
};

// The scanning process works on a stack of its own, for it wipes the ends of the others.
struct Body {
  void (*run)(void*);
  void* argument;
};
Body body;

void on_own_stack() { body.run(body.argument); }

struct HeapHeld {
  HeapHeld() {
    lasting_zone().lock();
    transfer_zone().lock();
    hold_segments();
  }
  ~HeapHeld() {
    release_segments();
    transfer_zone().unlock();
    lasting_zone().unlock();
  }
};

// Signals of the process are its own business; synchronous ones stay.
struct AllSignalsBlocked {
  AllSignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
  }
  ~AllSignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  sigset_t before;
};

struct OwnStack {
  OwnStack()
      : memory(static_cast<char*>(mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0))) {}
  ~OwnStack() {
    if (memory != MAP_FAILED) munmap(memory, kStackBytes);
  }
  char* memory;
};

// Never returns: the rest of the copy's life.
template <typename Shared>
[[noreturn]] void live_as_copy(Shared& shared, const StoppedWorld& world, Caller caller,
                               const std::vector<KeptMemory>& kept, const PageVector<char>& maps,
                               const OwnStack& stack) {
  // Nothing of this stack from here on is alive.
  caller.stack = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "firn-scan");
  // A copy must not keep sockets and pipes open that the process closes.
  syscall(SYS_close_range, 0u, ~0u, 0u);
  guard_reads();
  struct All {
    Shared& shared;
    const StoppedWorld& world;
    Caller caller;
    const std::vector<KeptMemory>& kept;
    const PageVector<char>& maps;
    char* stack;
  };
  // Not on this stack, which is wiped.
  All* all = new (stack.memory) All{shared, world, caller, kept, maps, stack.memory};
  body = {[](void* argument) {
            All& all = *static_cast<All*>(argument);
            int status = kNoMemory;
            try {
              alignas(64) static char room[sizeof(Scanner<Shared>)];
              auto* scanner = new (room)
                  Scanner<Shared>(all.shared, all.world, all.caller, all.kept, all.maps, all.stack);
              status = scanner->run();
            } catch (const std::bad_alloc&) {
            }
            _exit(status);
          },
          all};
  static ucontext_t context;
  getcontext(&context);
  context.uc_stack.ss_sp = stack.memory + kPage;
  context.uc_stack.ss_size = kStackBytes - kPage;
  context.uc_link = nullptr;
  makecontext(&context, on_own_stack, 0);
  setcontext(&context);
  _exit(kConfused);
}

}  // namespace

Scan::Scan(const std::vector<KeptMemory>& kept) {
  PyThreadState* const state = PyThreadState_GetUnchecked();
  start(state ? state->interp : nullptr, kept);
}

void Scan::start(void* interpreter, const std::vector<KeptMemory>& kept) {
  StoppedWorld world;
  if (!world.prepare()) {
    problem_ = world.problem();
    return;
  }
  PageVector<char> maps;
  maps.reserve(kMapsBytes);
  const OwnStack stack;
  // Small chunks that were freed are in lists that nothing tells from memory in use, until malloc
  // goes through them: it does so before it changes a parameter, also one that it does not know.
  mallopt(0, 0);
  const Caller caller{interpreter, 0, find_tcache_key()};
  const AllSignalsBlocked blocked;
  const HeapHeld held;
  const std::size_t segments = view_size();
  shared_bytes_ = sizeof(Shared) + segments * sizeof(Shared::Verdict) + kReferBytes;
  void* got = mmap(nullptr, shared_bytes_, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED || stack.memory == MAP_FAILED) {
    shared_bytes_ = 0;
    problem_ = "there is no memory for it";
    return;
  }
  shared_ = static_cast<Shared*>(got);
  shared_->segments = segments;
  shared_->refers_capacity = kReferBytes / sizeof(std::uint64_t);

  __builtin_unwind_init();  // this thread's registers
  const double began = now();
  bool copied = false;
  int error = 0;
  if (world.stop() && read_maps(maps)) {
    const long process = syscall(SYS_clone, 0, nullptr, nullptr, nullptr, nullptr);
    if (process == 0) live_as_copy(*shared_, world, caller, kept, maps, stack);
    process_ = static_cast<pid_t>(process);
    copied = process > 0;
    error = errno;
    const timespec moment{0, 10'000'000};
    while (copied && !shared_->private_from_here.load()) {
      syscall(SYS_futex, &shared_->private_from_here, FUTEX_WAIT, 0, &moment, nullptr, 0);
      siginfo_t ended = {};
      if (now() > began + 1 ||
          waitid(P_PID, static_cast<id_t>(process_), &ended,
                 WEXITED | WNOHANG | WNOWAIT | __WALL) ||
          ended.si_pid) {
        break;
      }
    }
  }
  world.resume();
  stopped_seconds_ = now() - began;
  if (copied) return;
  problem_ = *world.problem() ? world.problem()
             : process_ < 0   ? std::string("the process cannot be copied: ") + std::strerror(error)
                              : "/proc/self/maps cannot be read";
}

Scan::~Scan() {
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, __WALL);
  }
  if (shared_) munmap(shared_, shared_bytes_);
}

ScanResult Scan::finish() {
  ScanResult result;
  result.stopped_seconds = stopped_seconds_;
  result.problem = problem_;
  if (process_ <= 0) return result;
  const double began = now();
  int status = 0;
  pid_t ended;
  while ((ended = waitpid(process_, &status, WNOHANG | __WALL)) == 0 ||
         (ended < 0 && errno == EINTR)) {
    if (now() > began + kPatience) {
      result.problem = "the scan takes too long";
      return result;  // the destructor ends it
    }
    const timespec moment{0, 1'000'000};
    nanosleep(&moment, nullptr);
  }
  process_ = -1;
  if (ended < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != kDone) {
    result.problem = *shared_->problem ? shared_->problem
                     : WIFEXITED(status)
                         ? "the scan failed (" + std::to_string(WEXITSTATUS(status)) + ")"
                         : "the scan was ended (" + std::to_string(WTERMSIG(status)) + ")";
    return result;
  }
  result.seconds = shared_->seconds;
  result.bytes = shared_->bytes;
  const auto* verdicts = shared_->verdicts();
  for (std::size_t i = 0; i < shared_->segments; ++i) {
    if (!verdicts[i].retired) continue;
    if (verdicts[i].unreached) result.unreached.push_back(verdicts[i].id);
    if (verdicts[i].referenced) {
      result.holders.emplace_back(verdicts[i].id, verdicts[i].holder);
    } else {
      result.unreferenced.push_back(verdicts[i].id);
    }
  }
  const std::uint64_t* words = shared_->refers_words();
  for (std::size_t at = 0; at < shared_->refers; at += 2 + words[at + 1]) {
    auto& [segment, others] =
        result.refers.emplace_back(verdicts[words[at]].id, std::vector<std::uint64_t>());
    for (std::size_t i = 0; i < words[at + 1]; ++i) {
      others.push_back(verdicts[words[at + 2 + i]].id);
    }
  }
  return result;
}

}  // namespace firn::heap

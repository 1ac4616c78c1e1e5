#include "heap/scan/scanner.hpp"

#include "heap/cpython_layout.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "heap/arena.hpp"
#include "heap/scan/guarded.hpp"
#include "heap/scan/memory_map.hpp"
#include "heap/scan/scan_report.hpp"
#include "heap/scan/stopped_world.hpp"
#include "heap/scan/words.hpp"
#include "heap/segments.hpp"

namespace firn::heap {
namespace {

constexpr std::uintptr_t kPage = 4096;

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
class Scanner {
 public:
  explicit Scanner(const ScanTask& task) : task_(task), report_(task.report) {}

  int run() {
    if (!pages_.is_open()) return confused("/proc/self/pagemap cannot be read");
    find_segments();
    parse_maps(task_.maps, mappings_);
    for (const Mapping& mapping : mappings_) {
      if (mapping.shared && is_source(mapping)) scan_shared(mapping);
    }
    report_.private_from_here = 1;
    syscall(SYS_futex, &report_.private_from_here, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    if (const char* problem = missing()) return confused(problem);

    wipe_dead();
    set_kept_aside();
    for (const Mapping& mapping : mappings_) {
      if (!mapping.shared && is_source(mapping)) scan_mapping(mapping);
    }
    scan_heap();
    follow_segments();
    return kDone;
  }

 private:
  int confused(const char* problem) {
    std::strncpy(report_.problem, problem, sizeof report_.problem - 1);
    report_.private_from_here = 1;
    syscall(SYS_futex, &report_.private_from_here, FUTEX_WAKE, 1, nullptr, nullptr, 0);
    return kConfused;
  }

  // ---- segments ----

  void find_segments() {
    low_ = std::numeric_limits<std::size_t>::max();
    for (std::size_t i = 0; i < report_.segments; ++i) {
      const SegmentView view = view_segment(i);
      report_.verdicts()[i] = {view.id, 0, view.retired, false, false};
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
    auto& verdict = report_.verdicts()[segment];
    if (!holder) verdict.holder = 0;  // other frozen data says more than a word, which may be old
    if (!verdict.retired || verdict.referenced) return;
    verdict.referenced = true;
    verdict.holder = holder;
    --wanted_;
    marked_.push_back(segment);
  }

  // ---- words ----

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
      report_.bytes += end - begin;
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
    if (mapping.begin <= task_.stack_begin && task_.stack_begin < mapping.end) {
      scan_present(mapping.begin, task_.stack_begin);
      scan_present(task_.stack_end, mapping.end);
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
          for (pid_t thread : task_.world.running()) {
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
    wipe_stacks(dead, task_.world, task_.caller, mappings_);
    wipe_python(dead, task_.caller);
    wipe_malloc(dead, task_.caller, mappings_);
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
    for (const KeptMemory& memory : task_.kept) {
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
    for (std::size_t i = 0; i < report_.segments; ++i) {
      const SegmentView view = view_segment(i);
      if (!view.refers_known) find_references(i, view);
      if (!view.retired) mark_references(i, view);
    }
    follow_marked();
    // To the rest leads at most what is kept for them.
    for (const Link& link : links_) {
      auto& from = report_.verdicts()[link.from];
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
    const std::size_t start = report_.refers;
    std::uint64_t* const words = report_.refers_words();
    const std::size_t most = report_.refers_capacity;
    if (start + 2 + report_.segments > most) _exit(kNoMemory);
    std::size_t count = 0;
    found_.resize(report_.segments);
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
        report_.bytes += last - first;
      }
    }
    words[start] = segment;
    words[start + 1] = count;
    report_.refers = start + 2 + count;
    refers_of_.resize(report_.segments);
    refers_of_[segment] = start + 1;
  }

  void mark_references(std::size_t segment, const SegmentView& view) {
    if (view.refers_known) {
      for (const std::uint64_t id : *view.refers) {
        const std::size_t other = index_of_segment(id);
        if (other < report_.segments) mark(other, 0);
      }
      return;
    }
    const std::uint64_t* const list = report_.refers_words() + refers_of_[segment];
    for (std::uint64_t i = 0; i < list[0]; ++i) mark(list[1 + i], 0);
  }

  static std::uintptr_t address(std::size_t offset) {
    return reinterpret_cast<std::uintptr_t>(heap_base) + offset;
  }

  const ScanTask& task_;
  ScanReport& report_;
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

}  // namespace

int look_through(const ScanTask& task) {
  try {
    alignas(64) static char room[sizeof(Scanner)];
    auto* scanner = new (room) Scanner(task);
    return scanner->run();
  } catch (const std::bad_alloc&) {
    return kNoMemory;
  }
}

}  // namespace firn::heap

// Freezing from end to end: all or nothing.
#include "heap/cpus.hpp"
#include "heap/crew.hpp"
#include "heap/errors.hpp"
#include "heap/freezer.hpp"
#include "heap/hashes.hpp"
#include "heap/heap.hpp"
#include "heap/segments.hpp"
#include "heap/transfer.hpp"

#include <algorithm>
#include <chrono>

namespace firn::heap {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point began) {
  return std::chrono::duration<double>(Clock::now() - began).count();
}

struct Root {
  const std::string* name;
  PyObject* object;
};

struct Frozen {
  std::vector<PyObject*> roots;
  std::vector<PyObject*> replaced;
  std::vector<Extent> extents;
  Figures figures;
};

enum class Outcome { done, failed, again };

// One attempt. `failed` has an exception set; `again` asks for an attempt with one thread, which
// finds the first value that cannot be frozen.
Outcome attempt(Zone& zone, const InterpreterTypes& types, const std::vector<Root>& roots,
                const std::vector<PyObject*>& candidates, unsigned threads, Frozen& out) {
  Freezing freezing(zone, types, true);
  Copier main(freezing);
  Crew crew(freezing, threads);
  if (threads > 1) main.set_crew(&crew);
  std::size_t root = 0;
  try {
    for (root = 0; root < roots.size(); ++root) {
      out.roots.push_back(main.copy(roots[root].object));
      main.run();
    }
    std::vector<PyObject*> unchecked = main.unchecked();
    for (const auto& helper : crew.helpers()) {
      unchecked.insert(unchecked.end(), helper->unchecked().begin(), helper->unchecked().end());
    }
    check_hashes(unchecked);
    freezing.populator.stop();
    for (PyObject* candidate : candidates) {
      out.replaced.push_back(static_cast<PyObject*>(freezing.memo.find(candidate)));
    }
    out.figures.objects = main.objects();
    out.extents = main.region().finish(&out.figures.bytes);
    for (const auto& helper : crew.helpers()) {
      out.figures.objects += helper->objects();
      const auto more = helper->region().finish(&out.figures.bytes);
      out.extents.insert(out.extents.end(), more.begin(), more.end());
    }
    return Outcome::done;
  } catch (const Abandoned&) {
    freezing.populator.stop();
    return Outcome::again;
  } catch (const Unfreezable& what) {
    freezing.populator.stop();
    if (crew.was_used()) return Outcome::again;
    raise_not_freezable(types, *roots[root].name, main.frames(), what);
  } catch (const std::bad_alloc&) {
    freezing.populator.stop();
    raise_no_memory();
  }
  return Outcome::failed;
}

bool freeze(Zone& zone, const std::vector<Root>& roots, const std::vector<PyObject*>& candidates,
            unsigned threads, Frozen& out) {
  const InterpreterTypes* types = interpreter_types();
  if (!types) return false;
  const auto began = Clock::now();
  Outcome outcome = attempt(zone, *types, roots, candidates, threads, out);
  if (outcome == Outcome::again) {
    out = {};
    outcome = attempt(zone, *types, roots, candidates, 1, out);
  }
  if (outcome != Outcome::done) return false;
  for (const Extent& extent : out.extents) protect(extent);
  out.figures.seconds = seconds_since(began);
  return true;
}

}  // namespace

std::optional<FreezeResult> freeze_roots(
    const std::vector<std::pair<std::string, PyObject*>>& roots,
    const std::vector<PyObject*>& candidates, unsigned threads) {
  std::vector<Root> list;
  std::vector<std::string> names;
  for (const auto& [name, object] : roots) {
    list.push_back({&name, object});
    if (!name.empty()) names.push_back(name);
  }
  constexpr unsigned most_threads = 16;
  if (!threads) threads = std::min(most_threads, static_cast<unsigned>(usable_cpus()));
  Frozen frozen;
  if (!freeze(lasting_zone(), list, candidates, threads, frozen)) return std::nullopt;
  if (!frozen.extents.empty()) {
    frozen.figures.segment =
        add_segment(std::move(frozen.extents), std::move(names), frozen.figures);
  }
  return FreezeResult{std::move(frozen.roots), std::move(frozen.replaced), frozen.figures};
}

std::optional<Transfer> freeze_transfer(PyObject* root) {
  static const std::string name = "result";
  Frozen frozen;
  if (!freeze(transfer_zone(), {{&name, root}}, {}, 1, frozen)) return std::nullopt;
  auto segment = std::make_unique<TransferSegment>();
  segment->root = frozen.roots.front();
  segment->extents = std::move(frozen.extents);
  segment->figures = frozen.figures;
  return Transfer(std::move(segment));
}

}  // namespace firn::heap

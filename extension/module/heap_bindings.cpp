#include "heap/anatomy.hpp"
#include "heap/heap.hpp"
#include "heap/forms.hpp"
#include "heap/holders.hpp"
#include "heap/originals.hpp"
#include "heap/buffers/frozen.hpp"
#include "heap/records/definitions.hpp"
#include "heap/twins/anew.hpp"
#include "heap/twins/twins.hpp"
#include "heap/types.hpp"
#include "heap/unused_pools.hpp"
#include "module/bindings.hpp"

#include <pybind11/stl.h>

namespace py = pybind11;

namespace firn {
namespace {

py::object borrowed(PyObject* object) { return py::reinterpret_borrow<py::object>(object); }

// What `find` says of an object of the interpreter's own; nullptr of one in the heap.
PyObject* twin_behind(PyObject* object, PyObject* (*find)(PyObject*)) {
  return heap::contains(object) ? nullptr : find(object);
}

// What Python code sees of a frozen value: this interpreter's own object of a twin.
py::object resolved(PyObject* frozen) {
  PyObject* made = heap::read(frozen);
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

// The other way round.
PyObject* frozen_form(PyObject* object) {
  PyObject* twin = twin_behind(object, heap::twin_of);
  return twin ? twin : object;
}

py::object freeze(const py::object& object) {
  auto result = heap::freeze_roots({{"obj", object.ptr()}});
  if (!result) throw py::error_already_set();
  return resolved(result->frozen.front());
}

// Twins are not rebound, for the notebook's own object is as good; buffers are, and tuples that
// hold twins, for they may hold what changes.
py::object replaced_by(PyObject* frozen) {
  if (!frozen) return py::none();
  const bool other = heap::is_twin(frozen) &&
                     reinterpret_cast<heap::FrozenFace*>(frozen)->kind < heap::FaceKind::shell;
  return other ? py::none() : resolved(frozen);
}

struct FreezeResult {
  py::dict frozen;
  py::dict addresses;
  std::shared_ptr<heap::Forms> forms;
  std::shared_ptr<heap::Originals> originals;
  heap::Figures figures;
};

std::vector<PyObject*> pointers_of(const py::list& objects) {
  std::vector<PyObject*> pointers;
  for (const auto& object : objects) pointers.push_back(object.ptr());
  return pointers;
}

FreezeResult freeze_roots(const py::dict& roots, bool keeps_forms, bool keeps_originals,
                          unsigned threads) {
  std::vector<std::pair<std::string, PyObject*>> named;
  for (const auto& [name, object] : roots)
    named.emplace_back(py::cast<std::string>(name), object.ptr());
  auto result = heap::freeze_roots(
      named, {.keeps_forms = keeps_forms, .keeps_originals = keeps_originals, .threads = threads});
  if (!result) throw py::error_already_set();
  FreezeResult out;
  out.figures = result->figures;
  for (std::size_t i = 0; i < named.size(); ++i) {
    const py::str name(named[i].first);
    out.frozen[name] = resolved(result->frozen[i]);
    out.addresses[name] = reinterpret_cast<std::uintptr_t>(result->frozen[i]);
  }
  out.forms = std::move(result->forms);
  out.originals = std::move(result->originals);
  return out;
}

// The frozen form, or nullptr. Whoever else has the object goes on with it where it may change.
PyObject* form_of(const heap::Forms& forms, py::handle original) {
  PyObject* frozen = forms.of(original.ptr());
  if (frozen && heap::may_change(frozen) && heap::keep(frozen, original.ptr()) < 0)
    throw py::error_already_set();
  return frozen;
}

py::list forms_of(const heap::Forms& forms, const py::list& variables) {
  py::list found;
  for (const auto& value : variables) found.append(replaced_by(form_of(forms, value)));
  return found;
}

py::list addresses_of(const heap::Forms& forms, const py::list& objects) {
  py::list found;
  for (const auto& object : objects) {
    if (PyObject* frozen = form_of(forms, object))
      found.append(
          py::make_tuple(object, reinterpret_cast<std::uintptr_t>(frozen), heap::is_twin(frozen)));
  }
  return found;
}

py::object thaw(const py::object& object) {
  PyObject* twin = twin_behind(object.ptr(), heap::twin_of);
  const bool is_view = !twin && heap::buffers::reads_heap(object.ptr());
  PyObject* made =
      is_view ? heap::buffers::thaw_view(object.ptr()) : heap::thaw(twin ? twin : object.ptr());
  if (!made) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

bool is_frozen(const py::object& object) {
  return heap::is_frozen(object.ptr()) || heap::twin_of(object.ptr()) ||
         heap::buffers::reads_heap(object.ptr());
}

py::object adopt(std::uintptr_t address) {
  if (!heap::is_adoptable(reinterpret_cast<void*>(address))) {
    throw py::value_error("there is no frozen value at this address");
  }
  auto* frozen = reinterpret_cast<PyObject*>(address);
  PyObject* original = heap::original_of(frozen);
  return original ? borrowed(original) : resolved(frozen);
}

const char* word(heap::Backing backing) {
  switch (backing) {
    case heap::Backing::memory:
      return "memory";
    case heap::Backing::moving:
      return "moving";
    case heap::Backing::file:
      return "file";
    case heap::Backing::kept:
      return "kept";
  }
  return "";
}

py::list segments() {
  py::list out;
  for (const auto& info : heap::list_segments()) {
    py::dict entry;
    entry["id"] = info.id;
    entry["names"] = info.names;
    entry["cell"] = info.cell;
    entry["objects"] = info.objects;
    entry["bytes"] = info.bytes;
    entry["seconds"] = info.seconds;
    entry["time"] = info.time;
    entry["backing"] = word(info.backing);
    entry["retired"] = info.retired;
    entry["holder"] = info.holder;
    out.append(std::move(entry));
  }
  return out;
}

void set_cell(std::uint64_t segment, std::string cell) {
  if (!heap::set_cell(segment, std::move(cell))) {
    throw py::value_error("there is no segment " + std::to_string(segment));
  }
}

std::vector<std::uint64_t> segments_of(const py::list& values) {
  std::vector<const void*> addresses;
  for (const auto& value : values) {
    addresses.push_back(frozen_form(value.ptr()));
    if (const void* memory = heap::buffers::memory_in_heap(value.ptr()))
      addresses.push_back(memory);
  }
  return heap::segments_of(addresses);
}

std::vector<std::uint64_t> segments_at(const std::vector<std::uintptr_t>& addresses) {
  std::vector<const void*> pointers;
  for (const auto address : addresses) pointers.push_back(reinterpret_cast<void*>(address));
  return heap::segments_of(pointers);
}

py::list dissect(const py::object& value, std::size_t every) {
  static constexpr const char* words[] = {"root", "items", "members", "keys",
                                          "key",  "field", "below"};
  py::list out;
  for (const auto& part : heap::dissect(value.ptr(), every)) {
    out.append(py::make_tuple(part.parent, words[static_cast<int>(part.step)], part.name, part.type,
                              part.objects, part.bytes, part.recursive));
  }
  return out;
}

py::tuple weigh(const py::list& values, std::size_t limit) {
  std::vector<PyObject*> roots;
  for (const auto value : values) roots.push_back(value.ptr());
  const heap::Weight weight = heap::weigh(roots, limit);
  return py::make_tuple(weight.objects, weight.bytes);
}

std::uint32_t number_of(const py::object& definition) {
  const std::uint32_t number = heap::number_of(definition.ptr());
  if (!number) throw py::error_already_set();
  return number;
}

void define(std::uint32_t number, const py::object& object) {
  if (heap::define(number, object.ptr()) < 0) throw py::error_already_set();
}

py::object replica(std::uint32_t number) {
  PyObject* object = heap::replica(number);
  if (!object) throw py::error_already_set();
  return borrowed(object);
}

py::list definitions_of(const std::vector<std::uint64_t>& segments) {
  py::list out;
  for (const std::uint32_t number : heap::definitions_of(segments))
    out.append(py::make_tuple(number, replica(number)));
  return out;
}

std::vector<std::uint32_t> definitions_below(const std::vector<std::uintptr_t>& addresses) {
  std::vector<PyObject*> roots;
  for (const std::uintptr_t address : addresses)
    roots.push_back(reinterpret_cast<PyObject*>(address));  // NOLINT: an address from address()
  return heap::definitions_below(roots);
}

py::object spool_problem() {
  const heap::SpoolProblem problem = heap::spool_problem();
  if (problem.reason.empty()) return py::none();
  return py::make_tuple(problem.folder, problem.reason);
}

py::dict scan_figures() {
  const heap::ScanFigures figures = heap::scan_figures();
  py::dict out;
  out["scans"] = figures.scans;
  out["freed"] = figures.freed;
  out["freed_bytes"] = figures.freed_bytes;
  out["stopped_seconds"] = figures.stopped_seconds;
  out["seconds"] = figures.seconds;
  out["bytes"] = figures.bytes;
  out["problem"] = figures.problem;
  return out;
}

bool settle(double seconds) {
  const py::gil_scoped_release released;
  return heap::wait_for_retirement(seconds);
}

py::object type_object(PyTypeObject* type) { return borrowed(reinterpret_cast<PyObject*>(type)); }

}  // namespace

void bind_heap(py::module_& module) {
  if (heap::init_interpreter() < 0) throw py::error_already_set();
  module.attr("FrozenList") = type_object(heap::frozen_list_type());
  module.attr("FrozenDict") = type_object(heap::frozen_dict_type());
  module.attr("FrozenFace") = type_object(heap::frozen_face_type());
  module.attr("FrozenCallable") = type_object(heap::frozen_callable_type());
  module.attr("NotFreezableError") = borrowed(heap::not_freezable_error());

  py::class_<heap::Holders, std::shared_ptr<heap::Holders>>(
      module, "Holders", "Who else holds originals of what was frozen.")
      .def_property_readonly(
          "found",
          [](const heap::Holders& holders) {
            py::list found;
            for (const auto& [holder, candidate] : holders.found())
              found.append(py::make_tuple(borrowed(holder), candidate));
            return found;
          },
          "Containers and instances that hold an original, tuples among these: (it, the number of "
          "the candidate that it was reached from).")
      .def(
          "form",
          [](const heap::Holders& holders, const py::object& value) {
            PyObject* form = holders.form_of(value.ptr());
            return form ? borrowed(form) : value;
          },
          py::arg("value"), py::pos_only(), "What stands in the place of a value from now on.")
      .def(
          "put",
          [](heap::Holders& holders, const py::object& value, const py::object& form) {
            holders.put(value.ptr(), form.ptr());
          },
          py::arg("value"), py::arg("form"), py::pos_only(), "Says what does, of a tuple.")
      .def(
          "swap",
          [](const heap::Holders& holders, const py::object& container) {
            return holders.swap(container.ptr());
          },
          py::arg("container"), py::pos_only(),
          "Exchanges what a list, dict or set holds. False: the classes of keys do not let it, and "
          "it "
          "is as it was.")
      .def(
          "rehash",
          [](const heap::Holders& holders, const py::object& container) {
            return holders.rehash(container.ptr());
          },
          py::arg("container"), py::pos_only(),
          "Makes a dict or set anew where the hashes of keys have changed with what they hold.");

  py::class_<heap::Originals, std::shared_ptr<heap::Originals>>(
      module, "Originals",
      "The way back from copies: as long as it lives, this interpreter gets the originals wherever "
      "it would get a copy.")
      .def("__len__", &heap::Originals::size);

  py::class_<heap::Forms, std::shared_ptr<heap::Forms>>(
      module, "Forms", "What was frozen to what. Asked before anything happens to the originals.")
      .def("of", &forms_of, py::arg("variables"), py::pos_only(),
           "For each value that a variable is bound to its frozen form, or None.")
      .def("addresses", &addresses_of, py::arg("objects"), py::pos_only(),
           "Of those that were frozen: (the original, the address of its form, whether every "
           "interpreter makes its own of that).")
      .def(
          "holders",
          [](const heap::Forms& forms, const py::list& values, const py::list& kept) {
            return forms.holders(pointers_of(values), pointers_of(kept));
          },
          py::arg("values"), py::arg("kept"), py::pos_only(),
          "Who holds originals below the values; `kept` stays what it is. None: nobody.");

  py::class_<FreezeResult>(module, "FreezeResult", "What freeze_roots() did.")
      .def_readonly("frozen", &FreezeResult::frozen, "The frozen form of each root, by its name.")
      .def_readonly("addresses", &FreezeResult::addresses,
                    "The address of each root's frozen form, by its name, for adopt().")
      .def_readonly("forms", &FreezeResult::forms, "What was frozen to what; None: not kept.")
      .def_readonly("originals", &FreezeResult::originals,
                    "The way back from the copies, if it is kept; None: it is not.")
      .def_property_readonly("objects", [](const FreezeResult& r) { return r.figures.objects; })
      .def_property_readonly("bytes", [](const FreezeResult& r) { return r.figures.bytes; })
      .def_property_readonly("seconds", [](const FreezeResult& r) { return r.figures.seconds; })
      .def_property_readonly("segment", [](const FreezeResult& r) { return r.figures.segment; });

  module.def("freeze", &freeze, py::arg("obj"), py::pos_only());
  module.def(
      "thaw", &thaw, py::arg("obj"), py::pos_only(),
      "A mutable copy of `obj`, deep: lists, dicts, sets ... of the types that were frozen.\n\n"
      "Sharing and cycles are kept. Strings, numbers and dates stay the frozen ones, for nobody "
      "can change them.\nPlain lists, tuples, dicts and sets are copied too, so that the frozen "
      "values in them thaw; anything else\nin them stays itself. Raises MemoryError.");
  module.def(
      "shallow",
      [](const py::object& object) {
        PyObject* made = heap::shallow(object.ptr());
        if (!made) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(made);
      },
      py::arg("obj"), py::pos_only());
  module.def(
      "iterate_part",
      [](const py::object& sequence, py::ssize_t start, py::ssize_t stop) {
        PyObject* made = heap::iterate_part(sequence.ptr(), start, stop);
        if (!made) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(made);
      },
      py::arg("sequence"), py::arg("start"), py::arg("stop"), py::pos_only());
  module.def("has_made", &heap::has_made);
  module.def("forget_made", &heap::forget_made);
  module.def(
      "made_anew",
      [](const py::object& wanted) {
        py::list pairs;
        for (auto& [object, other] : heap::made_anew(wanted.ptr())) {
          pairs.append(py::make_tuple(py::reinterpret_steal<py::object>(object.release()),
                                      py::reinterpret_steal<py::object>(other.release())));
        }
        return pairs;
      },
      py::arg("wanted"), py::pos_only());
  module.def("kept_objects", [] {
    py::list found;
    for (auto& [object, twin] : heap::kept_objects()) {
      found.append(py::make_tuple(py::reinterpret_steal<py::object>(object.release()),
                                  reinterpret_cast<std::uintptr_t>(twin)));
    }
    return found;
  });
  module.def("segments_below", &heap::segments_below, py::arg("segments"), py::pos_only(),
             "These segments, and those that their values lead to.");
  module.def("is_frozen", &is_frozen, py::arg("obj"), py::pos_only());
  module.def("freeze_roots", &freeze_roots, py::arg("roots"), py::kw_only(),
             py::arg("keeps_forms") = false, py::arg("keeps_originals") = false,
             py::arg("threads") = 0,
             "Freezes the values of a dict into one segment, all or nothing.\n\n"
             "The keys of `roots` head the paths of errors and are kept for messages. `threads` 0 "
             "means every "
             "core that the process may use.\nRaises NotFreezableError or MemoryError.");
  module.def("set_cell", &set_cell, py::arg("segment"), py::arg("cell"),
             "Notes which cell a segment was frozen for, as \"[12]\".");
  module.def("segments", &segments,
             "What is frozen, a dict a segment: id, names, cell, objects, bytes, seconds, time (of "
             "the clock), "
             "backing.");
  module.def("count_segments", &heap::count_segments,
             "How many segments there are: their ids are 1 to this.");
  module.def("segments_of", &segments_of, py::arg("values"), py::pos_only(),
             "The ids of the segments that the values lie in, each once.");
  module.def("dissect", &dissect, py::arg("frozen"), py::arg("every") = 1,
             "Where the memory of a frozen value goes.");
  module.def("weigh", &weigh, py::arg("values"), py::arg("limit"), py::pos_only(),
             "How many objects and bytes frozen values are and lead to, up to so many objects.");
  module.def("segments_at", &segments_at, py::arg("addresses"), py::pos_only(),
             "The ids of the segments that the addresses lie in, each once.");
  module.def("number_of", &number_of, py::arg("definition"), py::pos_only(),
             "The number that a class or function has in all interpreters.");
  module.def("define", &define, py::arg("number"), py::arg("object"), py::pos_only(),
             "Says what a number is in this interpreter. Raises ValueError for an unknown number.");
  module.def("undefine", &heap::undefine, py::arg("number"), py::pos_only(),
             "Forgets what a number is in this interpreter, and what was made of its instances.");
  module.def("replica", &replica, py::arg("number"), py::pos_only(),
             "This interpreter's own class or function with a number.");
  module.def(
      "definitions_of", &definitions_of, py::arg("segments"), py::pos_only(),
      "The classes and functions that values of these segments need: (number, object) each.");
  module.def("begin_retirement", &heap::begin_retirement, py::arg("segments"), py::pos_only(),
             "Marks segments as retired.");
  module.def(
      "definitions_below", &definitions_below, py::arg("addresses"), py::pos_only(),
      "The numbers of the classes and functions that frozen values, all that they lead to, need.");
  module.def(
      "reached",
      [](const std::vector<std::uintptr_t>& roots, const std::vector<std::uintptr_t>& objects) {
        return heap::reached(roots, objects);
      },
      py::arg("roots"), py::arg("objects"), py::pos_only(),
      "Which of the frozen values at addresses others are, or lead to.");
  module.def(
      "retire", &heap::retire, py::arg("segments"), py::pos_only(),
      "Gives back the memory of segments: their pages move to unlinked files, in the background.");
  module.def("rescan", &heap::rescan, py::arg("now") = true, py::pos_only(),
             "Looks for retired segments that nothing points into any more, and gives them back.");
  module.def("settle", &settle, py::arg("seconds") = 60.0,
             "Waits until nothing is scanned or moved; whether that is so.");
  module.def("cool", &heap::cool,
             "Gives the system the pages that were kept for what is frozen next.");
  module.def("give_back_pools", &heap::give_back_unused_pools,
             "Gives the system memory that CPython's allocator keeps for this interpreter's later "
             "objects; bytes.");
  module.def("scan_figures", &scan_figures, "What the scans did.");
  module.def("spool_problem", &spool_problem,
             "Why retired segments stay in memory: the folder and the reason, or None.");
  module.def(
      "address",
      [](const py::object& object) {
        return reinterpret_cast<std::uintptr_t>(frozen_form(object.ptr()));
      },
      py::arg("frozen"), py::pos_only(),
      "The address of a frozen value, for adopt() in another interpreter.");
  module.def(
      "twin_address",
      [](const py::object& object) {
        return reinterpret_cast<std::uintptr_t>(twin_behind(object.ptr(), heap::twin_of));
      },
      py::arg("object"), py::pos_only(),
      "For adopt(), if this interpreter made the object of a frozen value and it never changes; "
      "else 0.");
  module.def(
      "origin_address",
      [](const py::object& object) {
        return reinterpret_cast<std::uintptr_t>(twin_behind(object.ptr(), heap::origin_of));
      },
      py::arg("object"), py::pos_only(),
      "The same of an object that may have changed since it was made.");
  module.def(
      "made_again",
      [](const py::object& object) {
        PyObject* made = heap::made_again(object.ptr());
        if (!made) throw py::error_already_set();
        return py::reinterpret_steal<py::object>(made);
      },
      py::arg("object"), py::pos_only(),
      "Another object of the frozen value that such an object was made of.");
  module.def(
      "take_refused_write",
      []() -> py::object {
        const auto refused = heap::take_refused_write();
        if (!refused) return py::none();
        return py::make_tuple(refused->message, refused->function, refused->line);
      },
      "(message, function, line) of the first write to frozen data that this thread was refused "
      "since it last asked, or None.");
  module.def("adopt", &adopt, py::arg("address"), py::pos_only(),
             "The frozen value at an address. Raises ValueError where there is none.");
}

}  // namespace firn

// What `record.__dict__` gives: a dict of the reader's own, which refuses to be written to.
#include "heap/records/attribute_dict.hpp"

#include "heap/faces/faces.hpp"
#include "heap/heap.hpp"
#include "heap/records/attributes.hpp"
#include "heap/records/instances.hpp"
#include "heap/records/state.hpp"
#include "heap/twins/twins.hpp"

namespace firn::heap::records {

using faces::Ref;

namespace {

struct Attributes {
  PyDictObject dict;
  PyObject* record;  // immortal; nullptr: made by somebody else
};

PyObject* refuse(PyObject* self) {
  PyObject* record = reinterpret_cast<Attributes*>(self)->record;
  if (record) return refuse_write(record);
  PyErr_SetString(PyExc_TypeError, "the attributes of a frozen object cannot be changed");
  return nullptr;
}

PyObject* refuse_method(PyObject* self, PyObject* const*, Py_ssize_t, PyObject*) {
  return refuse(self);
}
int refuse_item(PyObject* self, PyObject*, PyObject*) {
  refuse(self);
  return -1;
}
PyObject* refuse_operator(PyObject* self, PyObject*) { return refuse(self); }

// Copies and pickles are plain dicts.
PyObject* reduce_attributes(PyObject* self, PyObject*) {
  Ref plain(PyDict_Copy(self));
  return plain ? Py_BuildValue("O(O)", &PyDict_Type, plain.get()) : nullptr;
}
PyObject* copy_attributes(PyObject* self, PyObject*) { return PyDict_Copy(self); }

PyMethodDef refused(const char* name) {
  return {name, faces::method(refuse_method), METH_FASTCALL | METH_KEYWORDS, nullptr};
}

PyMethodDef attributes_methods[] = {
    refused("clear"),
    refused("pop"),
    refused("popitem"),
    refused("setdefault"),
    refused("update"),
    {"__reduce_ex__", reduce_attributes, METH_O, nullptr},
    {"copy", copy_attributes, METH_NOARGS, nullptr},
    {"__copy__", copy_attributes, METH_NOARGS, nullptr},
    {},
};

PyObject* get_class(PyObject*, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(&PyDict_Type));
}

PyGetSetDef attributes_members[] = {
    {"__class__", get_class, nullptr, nullptr, nullptr},
    {},
};

}  // namespace

PyTypeObject* make_attributes_type() {
  PyType_Slot slots[] = {
      {Py_mp_ass_subscript, reinterpret_cast<void*>(refuse_item)},
      {Py_nb_inplace_or, reinterpret_cast<void*>(refuse_operator)},
      {Py_tp_methods, attributes_methods},
      {Py_tp_getset, attributes_members},
      {0, nullptr},
  };
  PyType_Spec spec = {"firn.attributes", sizeof(Attributes), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
  return reinterpret_cast<PyTypeObject*>(
      PyType_FromSpecWithBases(&spec, reinterpret_cast<PyObject*>(&PyDict_Type)));
}

PyObject* attributes_of(PyObject* record) {
  State* own = state();
  if (!own) return nullptr;
  Ref made(PyObject_CallNoArgs(reinterpret_cast<PyObject*>(own->attributes)));
  if (!made) return nullptr;
  reinterpret_cast<Attributes*>(made.get())->record = record;
  const Layout& layout = *layout_of(record);
  if (layout.whole_dict) {
    PyObject* whole = whole_dict(record, layout);
    PyObject* mapping = reinterpret_cast<FrozenDict*>(whole)->mapping;
    PyObject *key, *value;
    for (Py_ssize_t at = 0; PyDict_Next(mapping, &at, &key, &value);) {
      Ref own_key(read(key));
      Ref own_value(own_key ? read(value) : nullptr);
      if (!own_value || PyDict_SetItem(made.get(), own_key.get(), own_value.get()) < 0) {
        return nullptr;
      }
    }
    return made.release();
  }
  for (std::size_t i = layout.slots; i < layout.count; i++) {
    PyObject* value = as_record(record)->fields[i];
    if (!value) continue;
    Ref read_value(read_field(record, value));
    if (!read_value || PyDict_SetItem(made.get(), layout.name(i), read_value.get()) < 0) {
      return nullptr;
    }
  }
  return made.release();
}

}  // namespace firn::heap::records

#ifndef CAFFE_UTIL_DYNAMIC_LIBRARY_HPP_
#define CAFFE_UTIL_DYNAMIC_LIBRARY_HPP_

#include <dlfcn.h>

#include <string>

#include "util/error.hpp"

namespace caffe {

/// A shared library that is loaded when it is first needed, and stays loaded: the system's, or,
/// where that has none, the one in `folder`. Throws Error, naming the file, where it or a function
/// of it is not found.
class DynamicLibrary {
 public:
  DynamicLibrary(const std::string& file, const std::string& folder)
      : file_(file), library_(dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (library_) return;
    const std::string why_not = dlerror();
    library_ = dlopen((folder + "/" + file).c_str(), RTLD_NOW | RTLD_LOCAL);
    ENFORCE(library_) << "GPU mode needs " << file << ": " << why_not << ", nor is it in "
                      << folder;
  }

  template <class Function>
  void Find(const char* name, Function** function) const {
    *function = reinterpret_cast<Function*>(dlsym(library_, name));
    ENFORCE(*function) << file_ << ": has no function " << name;
  }

 private:
  const std::string file_;
  void* library_;
};

}  // namespace caffe

#endif  // CAFFE_UTIL_DYNAMIC_LIBRARY_HPP_

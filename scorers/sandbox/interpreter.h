// The Python interpreter that programs run in: found, asked what it is, and turned into the list of files
// that a private root must show it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace fathom::sandbox {

struct Interpreter {
  std::string executable;  ///< real path of the binary; of a virtual environment the base interpreter's
  int minor = 0;           ///< CPython 3.minor
  std::string version;     ///< "3.11.2"
  std::string stdlib;      ///< folder of os.py
  std::string dynload;     ///< folder of the extension modules
  std::vector<std::string> libraries;  ///< real paths of the shared objects it maps
  std::string loader;                  ///< the dynamic loader, as the binary names it; empty for a static one
};

/// Asks the interpreter `python` (empty: /usr/bin/python3, else python3 of PATH). Throws Error{kEnvironment}
/// when there is none, it is no CPython >= 3.9, or it lacks what the sandbox needs (ctypes, json).
Interpreter find_interpreter(const std::string& python);

/// What the private root shows, read-only, at the path it has outside.
struct VisibleFiles {
  std::vector<std::string> folders;
  std::vector<std::string> files;
  std::vector<std::string> hidden_folders;  ///< inside `folders`, shown empty: installed packages
  std::vector<std::pair<std::string, std::string>> links;  ///< path, target
};
VisibleFiles visible_files(const Interpreter& interpreter);

}  // namespace fathom::sandbox

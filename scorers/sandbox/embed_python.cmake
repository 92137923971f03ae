# Run at build time (-P): one string constant per Python file, in pieces that every compiler accepts.
set(text "#include \"scorers/sandbox/python_sources.h\"\n\nnamespace fathom::sandbox {\n")
foreach(source ${SOURCES})
  get_filename_component(name ${source} NAME_WE)
  string(SUBSTRING ${name} 0 1 first)
  string(TOUPPER ${first} first)
  string(SUBSTRING ${name} 1 -1 rest)
  # Hexadecimal and back: CMake's own string reading would change backslashes, semicolons and brackets.
  file(READ ${source} content HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "\\\\x\\1" content "${content}")
  string(REGEX REPLACE "(\\\\x0a)" "\\1\"\n\"" content "${content}")
  string(APPEND text "constexpr char kText${first}${rest}[] =\n\"${content}\";\n"
    "const std::string_view k${first}${rest}Source(kText${first}${rest}, sizeof kText${first}${rest} - 1);\n")
endforeach()
string(APPEND text "}  // namespace fathom::sandbox\n")
file(WRITE ${OUTPUT} "${text}")

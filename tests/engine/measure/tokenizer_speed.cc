// Encodes files on one thread, once for every line on standard input, and answers with seconds of processor
// time and tokens: the other half of tools/tokenizer/measure_speed.py, which lets `tokenizers` from PyPI
// encode the same texts in turn.
//
// usage: tokenizer_speed MODEL_DIR   then lines, each the path of a text file; answers "SECONDS TOKENS" a
// line
#include <ctime>
#include <iostream>
#include <string>

#include "base/file.h"
#include "engine/tokenizer.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: tokenizer_speed MODEL_DIR\n";
    return 2;
  }
  const auto tokenizer = fathom::engine::Tokenizer::load(argv[1]);
  for (std::string path; std::getline(std::cin, path);) {
    const std::string text = fathom::read_file(path);
    const std::clock_t begin = std::clock();
    const size_t n_tokens = tokenizer.encode(text).size();
    const double seconds = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    std::cout << seconds << ' ' << n_tokens << std::endl;
  }
}

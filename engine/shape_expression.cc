#include "engine/shape_expression.h"

#include <cctype>

#include "base/error.h"

namespace fathom::engine {
namespace {

int64_t symbol_value(std::string_view name, const ModelConfig& c) {
  if (name == "V") return c.vocab_size;
  if (name == "h") return c.hidden_size;
  if (name == "H") return c.num_attention_heads;
  if (name == "dn") return c.qk_nope_head_dim;
  if (name == "dr") return c.qk_rope_head_dim;
  if (name == "dv") return c.v_head_dim;
  if (name == "rq") return c.q_lora_rank.value_or(0);
  if (name == "rk") return c.kv_lora_rank;
  if (name == "i") return c.intermediate_size;
  if (name == "m") return c.moe_intermediate_size;
  if (name == "E") return c.n_routed_experts;
  if (name == "S") return c.n_shared_experts;
  FATHOM_CHECK(false, "unknown symbol {}", name);
}

class Parser {
 public:
  Parser(std::string_view text, const ModelConfig& config) : text_(text), config_(config) {}

  std::vector<int64_t> shape() {
    expect('[');
    std::vector<int64_t> dimensions = {sum()};
    while (accept(',')) dimensions.push_back(sum());
    expect(']');
    FATHOM_CHECK(position_ == text_.size(), "trailing text in {}", text_);
    return dimensions;
  }

 private:
  int64_t sum() {
    int64_t value = product();
    while (accept('+')) {
      if (__builtin_add_overflow(value, product(), &value)) overflow();
    }
    return value;
  }

  int64_t product() {
    int64_t value = factor();
    while (accept('*')) {
      if (__builtin_mul_overflow(value, factor(), &value)) overflow();
    }
    return value;
  }

  int64_t factor() {
    if (accept('(')) {
      const int64_t value = sum();
      expect(')');
      return value;
    }
    const size_t begin = position_;
    while (position_ < text_.size() && std::isalnum(static_cast<unsigned char>(text_[position_])))
      ++position_;
    const std::string_view word = text_.substr(begin, position_ - begin);
    FATHOM_CHECK(!word.empty(), "expected a symbol at {} of {}", position_, text_);
    if (!std::isdigit(static_cast<unsigned char>(word[0]))) return symbol_value(word, config_);
    int64_t value = 0;
    for (char digit : word) value = 10 * value + (digit - '0');
    return value;
  }

  bool accept(char wanted) {
    while (position_ < text_.size() && text_[position_] == ' ') ++position_;
    if (position_ == text_.size() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }
  void expect(char wanted) {
    FATHOM_CHECK(accept(wanted), "expected {} at {} of {}", wanted, position_, text_);
  }

  [[noreturn]] void overflow() {
    bad_input("config.json", "the shape {} overflows: the dimensions are far beyond any model", text_);
  }

  std::string_view text_;
  const ModelConfig& config_;
  size_t position_ = 0;
};

}  // namespace

std::vector<int64_t> evaluate_shape(std::string_view expression, const ModelConfig& config) {
  return Parser(expression, config).shape();
}

}  // namespace fathom::engine

#include "engine/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fathom::engine {
namespace {

// g(s, c) of the YaRN paper's temperature: 1 for s <= 1.
double mscale(double factor, double c) {
  return factor <= 1.0 ? 1.0 : 0.1 * c * std::log(factor) + 1.0;
}

// The pair whose wavelength makes `rotations` turns within the original context length.
double correction_pair(const ModelConfig& config, double rotations) {
  const double length = static_cast<double>(config.yarn->original_max_position_embeddings);
  return static_cast<double>(config.qk_rope_head_dim) *
         std::log(length / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(config.rope_theta));
}

}  // namespace

std::vector<float> rope_inv_freq(const ModelConfig& config) {
  const int64_t dr = config.qk_rope_head_dim;
  std::vector<float> inv_freq(static_cast<size_t>(dr / 2));
  float low = 0.0f;
  float width = 0.0f;
  if (config.yarn) {
    double first = std::max(std::floor(correction_pair(config, config.yarn->beta_fast)), 0.0);
    double last =
        std::min(std::ceil(correction_pair(config, config.yarn->beta_slow)), static_cast<double>(dr - 1));
    if (first == last) last += 0.001;
    low = static_cast<float>(first);
    width = static_cast<float>(last - first);
  }
  for (int64_t j = 0; j < dr / 2; ++j) {
    // pow in double, rounded once, is what fp32 pow gives when it is exact to the last bit.
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(dr);
    const float wavelength = static_cast<float>(std::pow(config.rope_theta, static_cast<double>(exponent)));
    const float extrapolated = 1.0f / wavelength;
    if (!config.yarn) {
      inv_freq[static_cast<size_t>(j)] = extrapolated;
      continue;
    }
    const float interpolated = 1.0f / (static_cast<float>(config.yarn->factor) * wavelength);
    const float kept = 1.0f - std::clamp((static_cast<float>(j) - low) / width, 0.0f, 1.0f);
    inv_freq[static_cast<size_t>(j)] = interpolated * (1.0f - kept) + extrapolated * kept;
  }
  return inv_freq;
}

float yarn_attention_factor(const ModelConfig& config) {
  if (!config.yarn) return 1.0f;
  const double factor = config.yarn->factor;
  return static_cast<float>(mscale(factor, config.yarn->mscale.value_or(1.0)) /
                            mscale(factor, config.yarn->mscale_all_dim.value_or(0.0)));
}

float softmax_scale(const ModelConfig& config) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(config.qk_head_dim()));
  const double all_dim = config.yarn ? config.yarn->mscale_all_dim.value_or(0.0) : 0.0;
  if (all_dim == 0.0) return static_cast<float>(scale);
  const double g = mscale(config.yarn->factor, all_dim);
  return static_cast<float>(scale * g * g);
}

}  // namespace fathom::engine

// sample: the choice of one token a row, by a draw that depends on the row's seed and position alone. One
// block a row.
//
// Sums over a row go by chunks: thread t owns the ids [t c, (t + 1) c) and adds in ascending id; the chunks'
// sums are added in ascending order. top_p needs no sort: the smallest probability that is kept is found bit
// by bit, as the largest p with sum of all p' >= p reaching top_p.
#include "kernels/cpu/scratch.h"
#include "kernels/cuda/cuda.h"
#include "kernels/cuda/index.h"
#include "kernels/cuda/launch.h"
#include "kernels/cuda/log_sum_exp.h"

namespace fathom::kernels::cuda {
namespace {

struct SampleScratch {
  RowSampling* rows;     // [T]
  float* probabilities;  // [T, V]: softmax at the row's temperature; 0 for ids that top_p drops
};

SampleScratch carve(cpu::ScratchCursor& cursor, int64_t max_rows, int64_t vocab) {
  return {cursor.take<RowSampling>(max_rows), cursor.take<float>(max_rows * vocab)};
}

struct SampleKernel {
  static constexpr int kThreads = kRowThreads;
  static constexpr const char* kName = "sample";
  struct Params {
    const float* logits;
    int64_t vocab;
    SampleScratch scratch;
    int32_t* ids;
    float* logprobs;
  };
  struct Shared {
    LogSumExpRoom room;
    double sums[kThreads];
    int32_t counts[kThreads];
    int32_t drawn;
  };

  FATHOM_DEVICE static void run(const Simt& simt, const Params& p) {
    auto& shared = *simt.shared<Shared>();
    const int64_t t = simt.block_x();
    const float* logits = p.logits + t * p.vocab;
    const RowSampling row = p.scratch.rows[t];
    const LogSumExp lse = log_sum_exp(simt, logits, p.vocab, 1.0f, shared.room);
    int32_t id = lse.max.index;
    if (row.temperature > 0.0f) id = draw(simt, p, logits, row, shared);
    if (simt.thread() != 0) return;
    p.ids[t] = id;
    p.logprobs[t] = static_cast<float>(logits[id] - lse.value);
  }

 private:
  struct Chunk {
    int64_t begin, end;
  };
  FATHOM_DEVICE static Chunk chunk(int64_t vocab, int64_t thread) {
    const int64_t length = div_up(vocab, kThreads);
    return {at_most(vocab, thread * length), at_most(vocab, (thread + 1) * length)};
  }

  /// Every thread gets the drawn id.
  FATHOM_DEVICE static int32_t draw(const Simt& simt, const Params& p, const float* logits,
                                    const RowSampling& row, Shared& shared) {
    const LogSumExp lse = log_sum_exp(simt, logits, p.vocab, row.temperature, shared.room);
    const auto log_sum = static_cast<float>(lse.value - static_cast<double>(lse.max.value) / row.temperature);
    if (!is_finite(log_sum)) return lse.max.index;  // a row with a NaN; mark_non_finite reports it
    float* probability = p.scratch.probabilities + simt.block_x() * p.vocab;
    for (int64_t v = simt.thread(); v < p.vocab; v += kThreads) {
      probability[v] = exp_of((logits[v] - lse.max.value) / row.temperature - log_sum);
    }
    simt.barrier();
    if (row.top_p < 1.0f) keep_nucleus(simt, probability, p.vocab, static_cast<double>(row.top_p), shared);
    const Chunk mine = chunk(p.vocab, simt.thread());
    double sum = 0.0;
    for (int64_t v = mine.begin; v < mine.end; ++v) sum += static_cast<double>(probability[v]);
    shared.sums[simt.thread()] = sum;
    simt.barrier();
    if (simt.thread() == 0) {
      shared.drawn = pick(probability, p.vocab, shared.sums, uniform(row.seed, row.position), lse.max.index);
    }
    simt.barrier();
    return shared.drawn;
  }

  /// Where the draw falls when the kept ids are laid side by side.
  FATHOM_DEVICE static int32_t pick(const float* probability, int64_t vocab, const double* sums, double draw,
                                    int32_t likeliest) {
    double total = 0.0;
    for (int t = 0; t < kThreads; ++t) total += sums[t];
    const double target = draw * total;
    double before = 0.0;
    int32_t last = likeliest;
    for (int t = 0; t < kThreads; ++t) {
      const Chunk ids = chunk(vocab, t);
      const bool is_here = before + sums[t] > target;
      double sum = 0.0;
      for (int64_t v = ids.begin; v < ids.end && (is_here || sums[t] != 0.0); ++v) {
        if (probability[v] == 0.0f) continue;
        last = static_cast<int32_t>(v);
        if (!is_here) continue;
        sum += static_cast<double>(probability[v]);
        if (before + sum > target) return last;
      }
      before += sums[t];
    }
    return last;
  }

  /// Sum of all probabilities whose bits are at least `bits` (those of numbers >= 0 are in order).
  FATHOM_DEVICE static double sum_from(const Simt& simt, const float* probability, int64_t vocab,
                                       uint32_t bits, Shared& shared) {
    double sum = 0.0;
    for (int64_t v = simt.thread(); v < vocab; v += kThreads) {
      if (bits_of_float(probability[v]) >= bits) sum += static_cast<double>(probability[v]);
    }
    return block_reduce(simt, sum, Sum(), shared.room.sums);
  }

  /// Sets everything behind the smallest set of most likely ids that reaches top_p to 0.
  FATHOM_DEVICE static void keep_nucleus(const Simt& simt, float* probability, int64_t vocab, double top_p,
                                         Shared& shared) {
    uint32_t least = 0;
    for (uint32_t bit = 1u << 29; bit != 0; bit >>= 1) {
      if (sum_from(simt, probability, vocab, least | bit, shared) >= top_p) least |= bit;
    }
    // Of the ids at the limit itself only the lowest are needed.
    const double above = sum_from(simt, probability, vocab, least + 1, shared);
    const double wanted = least == 0 ? 0.0 : (top_p - above) / static_cast<double>(float_of_bits(least));
    const int64_t n_wanted = least == 0 ? vocab : at_least(1, static_cast<int64_t>(ceil(wanted)));
    const Chunk mine = chunk(vocab, simt.thread());
    int32_t n_equal = 0;
    for (int64_t v = mine.begin; v < mine.end; ++v) n_equal += bits_of_float(probability[v]) == least ? 1 : 0;
    shared.counts[simt.thread()] = n_equal;
    simt.barrier();
    int64_t rank = 0;
    for (int t = 0; t < simt.thread(); ++t) rank += shared.counts[t];
    for (int64_t v = mine.begin; v < mine.end; ++v) {
      const uint32_t bits = bits_of_float(probability[v]);
      if (bits < least || (bits == least && rank++ >= n_wanted)) probability[v] = 0.0f;
    }
    simt.barrier();
  }
};

}  // namespace

void sample(const Stream& stream, const Sample& args) {
  const int64_t n = args.logits.shape[0];
  const int64_t vocab = args.logits.shape[1];
  cpu::ScratchCursor cursor(args.scratch);
  const SampleScratch scratch = carve(cursor, n, vocab);
  if (n > 0) copy_to_device(stream, args.rows.data(), scratch.rows, args.rows.size_bytes());
  launch<SampleKernel>(stream, {.x = n}, sizeof(SampleKernel::Shared),
                       {static_cast<const float*>(args.logits.data), vocab, scratch,
                        static_cast<int32_t*>(args.ids.data), static_cast<float*>(args.logprobs.data)});
}

size_t sample_scratch_bytes(int64_t max_rows, int64_t vocab_size) {
  cpu::ScratchCursor cursor;
  carve(cursor, max_rows, vocab_size);
  return cursor.used();
}

}  // namespace fathom::kernels::cuda

# One line per optional feature, printed by the configure step and compiled into `fathom --version`.
# FATHOM_CUDA_STATE is FathomCuda.cmake's; the other two have no code behind them yet.
set(FATHOM_NCCL_STATE "not built in (no multi-GPU support in this version)")
set(FATHOM_MPI_STATE "not built in (no multi-rank support in this version)")

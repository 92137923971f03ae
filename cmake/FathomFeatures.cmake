# One line per optional feature, printed by the configure step and compiled into `fathom --version`.
# None of the three has code behind it yet, so finding the library changes only the wording.
set(FATHOM_CUDA_STATE "not built in (no CUDA kernels in this version)")
set(FATHOM_NCCL_STATE "not built in (no multi-GPU support in this version)")
set(FATHOM_MPI_STATE "not built in (no multi-rank support in this version)")

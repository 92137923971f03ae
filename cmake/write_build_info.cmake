# Run at build time (-P): asks git for the commit and writes build_info.h if its content changed.
set(FATHOM_GIT_COMMIT "unknown")
set(FATHOM_GIT_DIRTY false)
execute_process(COMMAND git -C ${SOURCE_DIR} rev-parse --short=12 HEAD OUTPUT_VARIABLE commit
  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(NOT failed)
  set(FATHOM_GIT_COMMIT ${commit})
  execute_process(COMMAND git -C ${SOURCE_DIR} status --porcelain --untracked-files=no OUTPUT_VARIABLE changes ERROR_QUIET)
  if(changes)
    set(FATHOM_GIT_DIRTY true)
  endif()
endif()
configure_file(${TEMPLATE} ${OUTPUT} @ONLY)

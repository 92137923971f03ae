// The table of all tasks.
#pragma once

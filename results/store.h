// The SQLite store of runs, samples and scores.
#pragma once

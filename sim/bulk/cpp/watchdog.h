// Ends the program when the Verilated network has a loop that does not end.

#pragma once

#include <csignal>
#include <cstdint>
#include <sys/time.h>
#include <unistd.h>

#include "command_line.h"

namespace {

// Ends the program unless cycles follow each other within some seconds of its processor time.
// Neither a loaded machine nor a reader that waits counts as a loop.
class Watchdog {
public:
    Watchdog() {
        std::signal(SIGVTALRM, end);
        restart();
    }

    // Call this in each cycle.
    void clock(uint64_t cycle) {
        if (cycle % kCycles == 0) restart();
    }

private:
    static constexpr int kSeconds = 5;
    static constexpr uint64_t kCycles = 16;

    static void restart() {
        itimerval limit{};
        limit.it_value.tv_sec = kSeconds;
        setitimer(ITIMER_VIRTUAL, &limit, nullptr);
    }

    static void end(int) {
        static constexpr char kMessage[] =
            "computed for 5 s without completing a clock cycle: the Verilog has a loop that does "
            "not end\n";
        (void)!write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
        _exit(kFailed);
    }
};

}  // namespace

// Writes the waveform of one image, in an engine that is built to trace; nothing in any other.

#pragma once

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "command_line.h"
#include "layers.h"
#if VM_TRACE
#include "verilated_fst_c.h"
#endif

namespace {

#if VM_TRACE
constexpr bool kTracing = true;

// The waveform from the cycle in which an image's first beat is offered to the one after its
// result. A cycle takes 10 units of time.
class Waveform {
public:
    // Takes the options --waves FILE, --image NUMBER, --layer PLACE and --beat NUMBER.
    Waveform(CommandLine& options, VerilatedContext& context, Vtop& top)
        : m_image(options.number("image")),
          m_layer(options.number("layer")),
          m_beat(options.number("beat")) {
        const std::string path = options.text("waves");
        if (!std::ofstream{path}) throw Failure(std::strerror(errno));
        context.traceEverOn(true);
        top.trace(&m_fst, 99);
        m_fst.open(path.c_str());
    }

    // Prints the cycle in which the beat was taken; 0 if it was not.
    ~Waveform() {
        // Verilator's writer aborts on a full disk.
        std::signal(SIGABRT, [](int) {
            std::fputs("the file could not be written completely\n", stderr);
            std::_Exit(kFailed);
        });
        m_fst.close();
        std::signal(SIGABRT, SIG_DFL);
        std::printf("%llu\n", static_cast<unsigned long long>(m_beat_cycle));
        std::fflush(stdout);
    }

    Waveform(const Waveform&) = delete;
    Waveform& operator=(const Waveform&) = delete;

    // Call this before each rising edge, with the image that is offered.
    void before_edge(uint64_t cycle, uint64_t image) {
        m_started |= image == m_image;
        if (m_started) m_fst.dump(10 * cycle);
    }

    // Call this after each rising edge, with the number of results that came out. Returns whether
    // the image's result is among them.
    bool after_edge(uint64_t cycle, const std::vector<Layer>& layers, uint64_t results) {
        const Layer& layer = layers.at(m_layer);
        if (!m_beat_taken && layer.taken() > m_image * layer.frame_beats() + m_beat) {
            m_beat_taken = true;
            m_beat_cycle = cycle;
        }
        if (m_started) m_fst.dump(10 * cycle + 5);
        return results > m_image;
    }

private:
    VerilatedFstC m_fst;
    uint64_t m_image, m_layer, m_beat;
    uint64_t m_beat_cycle = 0;
    bool m_beat_taken = false;
    bool m_started = false;
};
#else
constexpr bool kTracing = false;

struct Waveform {
    Waveform(CommandLine&, VerilatedContext&, Vtop&) {}
    void before_edge(uint64_t, uint64_t) {}
    bool after_edge(uint64_t, const std::vector<Layer>&, uint64_t) { return false; }
};
#endif

}  // namespace

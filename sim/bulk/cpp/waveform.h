// Writes the waveform of one image, in an engine that is built to trace; nothing in any other.

#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "Vtop.h"
#include "command_line.h"
#include "layers.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

namespace {

#if VM_TRACE
constexpr bool kTracing = true;

// A file that ends the program when the disk is full; Verilator's own would try again for ever.
class WaveformFile : public VerilatedVcdFile {
public:
    ssize_t write(const char* bytes, ssize_t size) override {
        const ssize_t written = VerilatedVcdFile::write(bytes, size);
        if (written < 0 && errno != EAGAIN && errno != EINTR) {
            std::fprintf(stderr, "%s\n", std::strerror(errno));
            std::_Exit(kFailed);
        }
        return written;
    }
};

// The waveform from the cycle in which an image's first beat is offered to the one after its
// result. A cycle takes 10 units of time.
class Waveform {
public:
    // Takes the options --waves FILE, --image NUMBER, --layer PLACE and --beat NUMBER.
    Waveform(CommandLine& options, VerilatedContext& context, Vtop& top)
        : m_image(options.number("image")),
          m_layer(options.number("layer")),
          m_beat(options.number("beat")) {
        context.traceEverOn(true);
        top.trace(&m_vcd, 99);
        m_vcd.open(options.text("waves").c_str());
        if (!m_vcd.isOpen()) throw Failure(std::strerror(errno));
    }

    // Prints the cycle in which the beat was taken; 0 if it was not.
    ~Waveform() {
        m_vcd.close();
        std::printf("%llu\n", static_cast<unsigned long long>(m_beat_cycle));
        std::fflush(stdout);
    }

    Waveform(const Waveform&) = delete;
    Waveform& operator=(const Waveform&) = delete;

    // Call this before each rising edge, with the image that is offered.
    void before_edge(uint64_t cycle, uint64_t image) {
        m_started |= image == m_image;
        if (m_started) m_vcd.dump(10 * cycle);
    }

    // Call this after each rising edge, with the number of results that came out. Returns whether
    // the image's result is among them.
    bool after_edge(uint64_t cycle, const std::vector<Layer>& layers, uint64_t results) {
        const Layer& layer = layers.at(m_layer);
        if (!m_beat_taken && layer.taken() > m_image * layer.frame_beats() + m_beat) {
            m_beat_taken = true;
            m_beat_cycle = cycle;
        }
        if (m_started) m_vcd.dump(10 * cycle + 5);
        return results > m_image;
    }

private:
    WaveformFile m_file;
    VerilatedVcdC m_vcd{&m_file};
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

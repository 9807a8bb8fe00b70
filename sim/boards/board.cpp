// Simulates a board at the pins of its serial line, and carries bytes between the line and a host.
//
// The only argument is the number of clock cycles a bit. Commands come on standard input, each a
// letter and a number of 4 bytes, the lowest first:
//
//   W n   n bytes follow, which will be sent to the board one after another;
//   R n   simulates until a byte has come from the board, n cycles at the most. The answer on
//         standard output: 1 and the byte, 0 if none came, or 2 and a byte without stop bit.
//
// Time passes during R alone, so that a run is the same every time. The end of standard input ends
// the program. The exit status is 0 then, and 11 if a command is wrong.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "Vtop.h"
#include "verilated.h"

namespace {

constexpr int kFailed = 11;
constexpr int kFrameBits = 10;

// Puts bytes on a line.
class Sender {
public:
    explicit Sender(unsigned clocks) : m_clocks(clocks) {}

    void send(uint8_t byte) { m_waiting.push_back(byte); }

    // The level of the line in the next cycle.
    bool clock() {
        if (m_cycle == m_clocks * kFrameBits) {
            if (m_waiting.empty()) return true;
            // A start bit (0) below the byte, a stop bit (1) above it.
            m_bits = (m_waiting.front() | 0x100u) << 1;
            m_waiting.pop_front();
            m_cycle = 0;
        }
        return m_bits >> (m_cycle++ / m_clocks) & 1;
    }

private:
    unsigned m_clocks;
    unsigned m_cycle = m_clocks * kFrameBits;
    unsigned m_bits = 0;
    std::deque<uint8_t> m_waiting;
};

// Takes bytes from a line: samples each bit once, in its middle.
class Receiver {
public:
    explicit Receiver(unsigned clocks) : m_clocks(clocks) {}

    // Takes the level of a cycle. Returns whether a byte is complete.
    bool clock(bool level) {
        if (!m_receiving) {
            m_receiving = !level;
            m_cycle = m_bits = 0;
        }
        if (!m_receiving) return false;
        const unsigned bit = m_cycle / m_clocks;
        if (m_cycle++ % m_clocks == m_clocks / 2) {
            m_bits |= unsigned(level) << bit;
            m_receiving = bit != kFrameBits - 1;
            return !m_receiving;
        }
        return false;
    }

    uint8_t byte() const { return uint8_t(m_bits >> 1); }
    bool right() const { return !(m_bits & 1) && m_bits >> (kFrameBits - 1); }

private:
    unsigned m_clocks;
    unsigned m_cycle = 0;
    unsigned m_bits = 0;
    bool m_receiving = false;
};

class Board {
public:
    explicit Board(unsigned clocks) : m_sender(clocks), m_receiver(clocks) {
        m_top.rx = 1;
        m_top.rst = 1;
        for (int cycle = 0; cycle < 4; ++cycle) clock();
        m_top.rst = 0;
    }

    void send(uint8_t byte) { m_sender.send(byte); }

    // Simulates until a byte has come; returns false if none came in so many cycles.
    bool receive(uint32_t cycles) {
        while (cycles--) {
            m_top.rx = m_sender.clock();
            clock();
            if (m_receiver.clock(m_top.tx)) return true;
        }
        return false;
    }

    const Receiver& receiver() const { return m_receiver; }

private:
    void clock() {
        m_top.clk = 0;
        m_top.eval();
        m_top.clk = 1;
        m_top.eval();
    }

    VerilatedContext m_context;
    Vtop m_top{&m_context};
    Sender m_sender;
    Receiver m_receiver;
};

bool read_exactly(uint8_t* bytes, size_t count) {
    return std::fread(bytes, 1, count, stdin) == count;
}

int serve(Board& board) {
    for (int letter; (letter = std::getchar()) != EOF;) {
        uint8_t bytes[4];
        if (!read_exactly(bytes, sizeof bytes)) return kFailed;
        const uint32_t number =
            bytes[0] | bytes[1] << 8 | bytes[2] << 16 | uint32_t(bytes[3]) << 24;
        if (letter == 'W') {
            for (uint32_t place = 0; place < number; ++place) {
                uint8_t byte;
                if (!read_exactly(&byte, 1)) return kFailed;
                board.send(byte);
            }
        } else if (letter == 'R') {
            const bool found = board.receive(number);
            const Receiver& receiver = board.receiver();
            std::putchar(!found ? 0 : receiver.right() ? 1 : 2);
            if (found) std::putchar(receiver.byte());
            std::fflush(stdout);
        } else {
            return kFailed;
        }
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    const int clocks = argc == 2 ? std::atoi(argv[1]) : 0;
    if (clocks <= 0) return kFailed;
    Board board(static_cast<unsigned>(clocks));
    return serve(board);
}

// The options of the engine, the errors that end it, and its exit statuses.

#pragma once

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <stdexcept>
#include <string>

namespace {

constexpr int kRuleBroken = 10;
constexpr int kFailed = 11;

// A stream broke a rule, or nothing moves any more: the simulated design is wrong.
struct RuleBroken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The command line is wrong, or a file cannot be read or written.
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// Pairs `--name value`, in any order. An option that is repeated, missing, unknown or no number
// where one is due is a Failure.
class CommandLine {
public:
    CommandLine(int argc, char** argv) {
        for (int i = 1; i < argc; i += 2) {
            const std::string name = argv[i];
            if (name.compare(0, 2, "--")) throw Failure("not an option: " + name);
            if (i + 1 == argc) throw Failure(name + " has no value");
            if (!m_values.emplace(name.substr(2), argv[i + 1]).second)
                throw Failure(name + " is given twice");
        }
    }

    // Takes the value of an option.
    std::string text(const std::string& name) {
        const auto found = m_values.find(name);
        if (found == m_values.end()) throw Failure("--" + name + " is missing");
        const std::string value = found->second;
        m_values.erase(found);
        return value;
    }

    // Takes the value of an option that is a number from 0 to 2**64-1.
    uint64_t number(const std::string& name) {
        const std::string value = text(name);
        char* end = nullptr;
        errno = 0;
        const uint64_t number = std::strtoull(value.c_str(), &end, 10);
        if (value.find_first_not_of("0123456789") != std::string::npos || value.empty() || errno)
            throw Failure("--" + name + " must be a number, not '" + value + "'");
        return number;
    }

    // Refuses the options that nobody took.
    void refuse_others() const {
        if (!m_values.empty()) throw Failure("unknown option --" + m_values.begin()->first);
    }

private:
    std::map<std::string, std::string> m_values;
};

}  // namespace

// The same library from C++17: a handle and texts that free themselves, a callback that is a closure, threads that share it.
// usage: example_cpp CONFIG DATA_DIR       (where somebody has signed in before)
#include <atomic>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "calmirror.h"

class Calendar {
public:
    explicit Calendar(std::string_view options) : handle_(calmirror_open(options.data(), options.size())) {
        if (handle_ == 0) throw std::runtime_error(calmirror_last_error());
    }
    ~Calendar() { calmirror_close(handle_); }
    Calendar(const Calendar &) = delete;
    Calendar &operator=(const Calendar &) = delete;

    std::string call(std::string_view text) const {
        const Text answer{calmirror_call(handle_, text.data(), text.size())};
        return answer ? answer.get() : "";
    }

    // `seen` must outlive the calendar.
    void on_notice(std::atomic<int> &seen) {
        const auto count = [](void *user, const char *, std::size_t) { ++*static_cast<std::atomic<int> *>(user); };
        if (calmirror_on_notice(handle_, count, &seen) != 0) throw std::runtime_error(calmirror_last_error());
    }

private:
    struct Free {
        void operator()(char *text) const { calmirror_free(text); }
    };
    using Text = std::unique_ptr<char, Free>;
    calmirror_t handle_;
};

int main(int count, char **arguments) {
    if (count != 3) return 2;
    try {
        std::atomic<int> notices{0};
        std::atomic<int> wrong{0};
        {
            Calendar calendar(std::string(R"({"keyring":false,"config_file":")") + arguments[1] + R"(","data_dir":")" +
                              arguments[2] + "\"}");
            calendar.on_notice(notices);
            const auto synced = calendar.call(R"({"call":"sync"})");
            if (synced.find("\"weather\":null") == std::string::npos) throw std::runtime_error(synced);
            std::vector<std::thread> threads;
            for (int n = 0; n < 8; ++n) {
                threads.emplace_back([&] {
                    for (int i = 0; i < 50; ++i) {
                        if (calendar.call(R"({"call":"agenda"})").rfind("{\"ok\":", 0) != 0) ++wrong;
                    }
                });
            }
            for (auto &thread : threads) thread.join();
        }
        std::cout << "calmirror " << calmirror_version() << ": 400 answers, " << wrong << " wrong, " << notices
                  << " notices\n";
        return wrong == 0 && notices > 0 ? 0 : 1;
    } catch (const std::exception &error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
}

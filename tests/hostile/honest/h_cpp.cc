// C++ as it is written: streams, exceptions, threads, containers, file system, time.
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <iostream>
#include <locale>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
extern "C" {
#include "case.h"
}

static thread_local std::string per_thread = "made when it is used";

static int work(const std::string &directory)
{
    std::ostringstream text;
    text << "number " << 42 << ' ' << 1.5;
    if (text.str() != "number 42 1.5")
        return EILSEQ;
    std::clog << "to the log" << std::endl;
    try {
        throw std::runtime_error("thrown");
    } catch (const std::exception &error) {
        if (std::strcmp(error.what(), "thrown"))
            return EILSEQ;
    }
    std::mutex lock;
    int sum = 0;
    std::vector<std::thread> threads;
    for (int n = 1; n <= 4; n++)
        threads.emplace_back([&, n] {
            per_thread += std::to_string(n);
            std::lock_guard<std::mutex> held(lock);
            sum += n;
        });
    for (auto &thread : threads)
        thread.join();
    auto later = std::async(std::launch::async, [] { return 7; });
    if (sum != 10 || later.get() != 7)
        return EILSEQ;
    if (!std::regex_match("pad-12", std::regex("[a-z]+-[0-9]+")))
        return EILSEQ;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    try {
        std::locale named("de_DE.UTF-8"); // there or not
        std::random_device device;
        (void)device();
    } catch (const std::exception &) {
    }
    const std::string name = directory + "/cpp-" + case_mode();
    std::ofstream(name) << "written\n";
    std::string line;
    std::ifstream(name) >> line;
    if (line != "written" || std::filesystem::file_size(name) != 8)
        return EILSEQ;
    std::error_code refused;
    (void)std::filesystem::exists("/etc/passwd", refused);
    std::filesystem::remove(name);
    std::ifstream secret("/etc/shadow-none");
    return secret ? EPROTO : 0;
}

static int attempt(const char *data_dir)
{
    try {
        return work(data_dir);
    } catch (const std::exception &error) {
        std::cerr << error.what() << std::endl;
        return ENOMSG;
    }
}

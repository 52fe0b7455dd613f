// jemalloc's options, for programs that hold state. By default what is freed stays resident for ten
// seconds: with tables that grow and go, a fourth of what a job may use.
extern "C" {
extern const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true";
}

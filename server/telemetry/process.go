package telemetry

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var started = time.Now()

// writeProcess writes the metrics of the process and of Go's runtime, under the names that
// Prometheus' own libraries use.
func writeProcess(p *Page) {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err == nil {
		cpu := time.Duration(use.Utime.Nano() + use.Stime.Nano())
		p.Counter("process_cpu_seconds_total", "Time of processors that the process has used.", Value(cpu.Seconds()))
	}
	p.Gauge("process_start_time_seconds", "When the process started, in seconds since the Unix epoch.", At(started))
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		p.Gauge("process_open_fds", "Open file descriptors.", Value(float64(len(files))))
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err == nil {
		p.Gauge("process_max_fds", "How many file descriptors may be open.", Value(float64(limit.Cur)))
	}
	if pages, ok := residentPages(); ok {
		p.Gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", Value(float64(pages*int64(os.Getpagesize()))))
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	p.Gauge("go_goroutines", "Goroutines that exist.", Value(float64(runtime.NumGoroutine())))
	p.Gauge("go_memstats_heap_inuse_bytes", "Memory of the heap that is in use.", Value(float64(m.HeapInuse)))
	p.Gauge("go_memstats_sys_bytes", "Memory that Go's runtime has from the system.", Value(float64(m.Sys)))
	p.Counter("go_memstats_mallocs_total", "Objects that were allocated on the heap.", Value(float64(m.Mallocs)))
	p.Counter("go_gc_cycles_total", "Garbage collections that were completed.", Value(float64(m.NumGC)))
	p.Gauge("go_info", "The version of Go.", Value(1, "version", runtime.Version()))
}

// residentPages reads the second number of /proc/self/statm, which only Linux has.
func residentPages() (pages int64, ok bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err = strconv.ParseInt(fields[1], 10, 64)
	return pages, err == nil
}

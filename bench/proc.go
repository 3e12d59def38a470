package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// clockTick is the unit of CPU times in /proc (USER_HZ, 100 on every Linux that Go runs on).
const clockTick = 10 * time.Millisecond

// processCPU returns the CPU time that a process has used (proc(5), stat: utime and stime).
func processCPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return time.Duration(user+system) * clockTick, err
}

// processMemory returns a figure of /proc/PID/status, such as VmRSS or VmHWM, in MB.
func processMemory(pid int, figure string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, figure+":"); ok {
			kB, err := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kB) / 1024, err
		}
	}
	return 0, fmt.Errorf("no %s", figure)
}

// A sample is a figure of several rounds.
type sample []float64

func (s sample) String() string {
	sorted := slices.Sorted(slices.Values(s))
	return fmt.Sprintf("%.3f (%.3f to %.3f, %d rounds)", sorted[len(sorted)/2], sorted[0], sorted[len(sorted)-1], len(sorted))
}

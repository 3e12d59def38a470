package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

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

// A machine is what figures were measured on.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	Server string `json:"server"` // its version
	Date   string `json:"date"`
}

func (m machine) String() string {
	return fmt.Sprintf("%s, %d cores, Linux %s, %s, server %s, %s", m.CPU, m.Cores, m.Kernel, m.Go, m.Server, m.Date)
}

// thisMachine describes where the server is measured. What cannot be found out
// is "unknown".
func thisMachine(server string) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Date: time.Now().UTC().Format(time.DateOnly)}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _ := exec.CommandContext(context.Background(), server, "-version").Output()
	m.CPU, m.Kernel, m.Server = cmp.Or(m.CPU, "unknown"), cmp.Or(strings.TrimSpace(string(kernel)), "unknown"), cmp.Or(strings.TrimSpace(string(version)), "unknown")
	return m
}

package main

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dieWithUs ends a child when this process ends, however it ends.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// cpuOf is what a process has used so far, user and system together, of all its threads, by its clock of clock_getcpuclockid(3). It counts
// nanoseconds; the ticks of /proc/PID/stat are of 10 ms, too coarse for turns of 60.
func cpuOf(pid int) (time.Duration, error) {
	if pid <= 0 { // the clock of nobody is that of this process
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, syscall.ESRCH)
	}
	const schedulerClock = 2 // CPUCLOCK_SCHED in the kernel's posix-timers.h
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|schedulerClock, &used); err != nil {
		return 0, fmt.Errorf("read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

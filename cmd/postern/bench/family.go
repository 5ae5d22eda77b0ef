package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// members are a process and all that it has started, and these in turn, as far as they live.
func (p *process) members() ([]int, error) {
	all := []int{p.pid()}
	if !p.family {
		return all, nil
	}
	parents, err := parentsOfAll()
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(all); i++ {
		for child, parent := range parents {
			if parent == all[i] && !slices.Contains(all, child) {
				all = append(all, child)
			}
		}
	}
	return all, nil
}

// cpu is what a process has used so far, with its members. What one of them used that has ended since is not in it: such a gateway is shown as
// cheaper than it is, which is not to our favour.
func (p *process) cpu() (sum time.Duration, err error) {
	pids, err := p.members()
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		used, err := cpuOf(pid)
		if err != nil && !(pid != p.pid() && (errors.Is(err, syscall.ESRCH) || errors.Is(err, syscall.EINVAL))) { // it has just ended
			return 0, err
		}
		sum += used
	}
	return sum, nil
}

// resident is its memory, and that of its members: of pages that they share, each one's part.
func (p *process) resident() (sum int64, err error) {
	pids, err := p.members()
	if err != nil {
		return 0, err
	}
	if len(pids) == 1 {
		return residentOf(p.pid())
	}
	for _, pid := range pids {
		part, err := proportionalOf(pid)
		if err != nil && (pid == p.pid() || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH)) {
			return 0, err
		}
		sum += part
	}
	return sum, nil
}

// parentsOfAll are the processes of the machine, each with its parent.
func parentsOfAll() (map[int]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("look for processes: %w", err)
	}
	all := map[int]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(procFile(pid, "stat"))
		if err != nil {
			continue // it has ended
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before may hold anything
		if len(fields) < 2 {
			return nil, errors.New("look for processes: /proc has another format here")
		}
		if all[pid], err = strconv.Atoi(string(fields[1])); err != nil {
			return nil, fmt.Errorf("look for processes: %w", err)
		}
	}
	return all, nil
}

// proportionalOf is the memory of a process in bytes, with its part of what it shares (Pss).
func proportionalOf(pid int) (int64, error) {
	text, err := os.ReadFile(procFile(pid, "smaps_rollup"))
	if err != nil {
		return 0, fmt.Errorf("read proportional memory: %w", err)
	}
	_, rest, found := bytes.Cut(text, []byte("\nPss:"))
	fields := bytes.Fields(rest)
	if !found || len(fields) < 2 {
		return 0, errors.New("read proportional memory: /proc has another format here")
	}
	kilobytes, err := strconv.ParseInt(string(fields[0]), 10, 64)
	return kilobytes << 10, err
}

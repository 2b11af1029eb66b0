// SPDX-License-Identifier: MIT
// Wrote go-1.26-cpu.pb.gz: go build -o cpu go-cpu.go && ./cpu go-1.26-cpu.pb.gz
package main

import (
	"context"
	"os"
	"runtime/pprof"
	"time"
)

//go:noinline
func inner(n int) int {
	s := 0
	for i := 0; i < n; i++ {
		s += i * i % 7
	}
	return s
}

//go:noinline
func outer(n int) int { return inner(n) + inner(n/2) }

func main() {
	f, _ := os.Create(os.Args[1])
	pprof.StartCPUProfile(f)
	pprof.Do(context.Background(), pprof.Labels("thread", "worker"), func(context.Context) {
		for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
			outer(100000)
		}
	})
	for end := time.Now().Add(200 * time.Millisecond); time.Now().Before(end); {
		inner(100000)
	}
	pprof.StopCPUProfile()
	f.Close()
}

package config

import "testing"

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	source := withLogin().source()
	for b.Loop() {
		if _, err := Load(source); err != nil {
			b.Fatal(err)
		}
	}
}

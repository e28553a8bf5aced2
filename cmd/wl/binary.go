package main

import (
	"debug/buildinfo"
	"fmt"
	"io"
	"os"

	"waterlock/internal/courier"
	"waterlock/internal/exit"
	"waterlock/internal/report"
)

// module is the name of the program's module, by which a binary is known to be
// a wl.
const module = "waterlock"

// programs reads the binaries that a drive is to carry: the running one, and
// those at the paths. For which system each is, it says itself.
func programs(running bool, paths []string) ([]courier.Program, error) {
	if running {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		paths = append([]string{self}, paths...)
	}
	var list []courier.Program
	for _, path := range paths {
		p, err := readProgram(path)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

func readProgram(path string) (courier.Program, error) {
	f, err := os.Open(path)
	if err != nil {
		return courier.Program{}, exit.With(exit.NotFound, err)
	}
	defer f.Close()
	info, err := buildinfo.Read(f)
	if err != nil || info.Main.Path != module {
		return courier.Program{}, exit.Errorf(exit.Usage, "%s is no binary of wl", report.Name(path))
	}
	var p courier.Program
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS":
			p.OS = s.Value
		case "GOARCH":
			p.Arch = s.Value
		}
	}
	p.Content, err = io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, 1<<62), courier.MaxProgram+1))
	if err != nil {
		return p, err
	}
	if len(p.Content) > courier.MaxProgram {
		return p, fmt.Errorf("%s: larger than the %s that a drive carries of a program", report.Name(path), report.Size(courier.MaxProgram))
	}
	return p, nil
}

// What the checks of the Go drivers share; each driver's file is built with this one.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"time"
)

const slow = `SELECT count(*) FROM generate_series(1, 300000) AS a CROSS JOIN generate_series(1, 300000) AS b WHERE a % 7 = b % 11`

var failures []string

func failed(what string, details ...interface{}) {
	failures = append(failures, what+": "+fmt.Sprint(details...))
}

// Times are equal when they are the same moment, wherever.
func same(actual, expected interface{}) bool {
	if then, ok := expected.(time.Time); ok {
		now, ok := actual.(time.Time)
		return ok && now.Equal(then)
	}
	return reflect.DeepEqual(actual, expected)
}

func check(what string, actual, expected interface{}) {
	if !same(actual, expected) {
		failed(what, fmt.Sprintf("expected %#v, got %#v", expected, actual))
	}
}

func fine(what string, err error) bool {
	if err != nil {
		failed(what, err)
	}
	return err == nil
}

func must(what string, err error) {
	if !fine(what, err) {
		finish()
	}
}

// state is the SQLSTATE of an error of the server, or what else there is to say.
func state(err error) string {
	var told interface{ SQLState() string }
	if errors.As(err, &told) {
		return told.SQLState()
	}
	return fmt.Sprint(err)
}

// doubled checks many questions at once, of which each answers with the double of its number.
func doubled(what string, ask func(number int, answer *int) error) {
	var group sync.WaitGroup
	answers, errs := make([]int, 20), make([]error, 20)
	for number := range answers {
		group.Add(1)
		go func(number int) {
			defer group.Done()
			errs[number] = ask(number, &answers[number])
		}(number)
	}
	group.Wait()
	for number, answer := range answers {
		fine(what, errs[number])
		check(what, answer, number*2)
	}
}

// fresh is a pointer to an empty value of the type of the given one, and found what it points to.
func fresh(value interface{}) interface{}   { return reflect.New(reflect.TypeOf(value)).Interface() }
func found(pointer interface{}) interface{} { return reflect.ValueOf(pointer).Elem().Interface() }

func finish() {
	for _, failure := range failures {
		fmt.Fprintln(os.Stderr, "FAILED Go", driver, failure)
	}
	if len(failures) > 0 {
		os.Exit(1)
	}
	fmt.Println(driver + ": passed")
}

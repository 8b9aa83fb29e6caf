#!/usr/bin/env bash
# Makes the quote of one leg of the matrix, and writes into the journal that all legs share.
set -euo pipefail
case $MATRIX_SIZE in
    small) count=3 ;;
    large) count=300 ;;
esac
mkdir -p quotes
echo "begin $MATRIX_CURRENCY $MATRIX_SIZE" >> journal.txt
tools/service/target/debug/quote "$count" "$MATRIX_CURRENCY" > "quotes/$MATRIX_CURRENCY-$MATRIX_SIZE.txt"
echo "end $MATRIX_CURRENCY $MATRIX_SIZE" >> journal.txt
cat "quotes/$MATRIX_CURRENCY-$MATRIX_SIZE.txt"

#Requires -Version 5.1
#Requires -RunAsAdministrator
<#
.SYNOPSIS
Installs softndk over one network adapter of this machine.

.DESCRIPTION
Does, in this order, and undoes all of it in reverse order when a step fails:

  1. checks the machine: 64-bit Windows, build 19041 or later, test signing on, the package complete;
  2. trusts the package's test certificate;
  3. adds both driver packages to the driver store;
  4. installs the protocol component (softndk_protocol);
  5. creates the virtual adapter (root\softndk) through SetupAPI;
  6. keeps the protocol off the virtual adapter itself;
  7. pairs the virtual adapter with the network adapter (UpperBindings);
  8. moves TCP/IP from the network adapter to the virtual one, with its static addresses, routes and DNS servers;
  9. binds the protocol to the network adapter, which brings the virtual adapter up.

While step 8 and 9 run the machine has no network: a remote session through this adapter is interrupted, and comes back
when the virtual adapter is up. Windows offers every protocol to every adapter again after a driver update of the
network adapter: run the script with -Check then.

.PARAMETER NetworkAdapter
Name of the network adapter to use, as Get-NetAdapter shows it.

.PARAMETER Package
Folder with softndk.sys, softndk.inf, softndk_protocol.inf, softndk.cat and softndk.cer. This script's own by default.

.PARAMETER Name
Name of the virtual adapter.

.PARAMETER Check
Changes nothing but bindings that have come back: TCP/IP on the network adapter, the protocol on the virtual adapter.

.EXAMPLE
.\install.ps1 -NetworkAdapter Ethernet -WhatIf

.EXAMPLE
.\install.ps1 -NetworkAdapter Ethernet
#>
[CmdletBinding(SupportsShouldProcess, ConfirmImpact = 'High')]
param(
    [Parameter(Mandatory)] [string] $NetworkAdapter,
    [string] $Package = $PSScriptRoot,
    [string] $Name = 'softndk',
    [switch] $Check
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'softndk.ps1')

$undo = [System.Collections.Generic.Stack[object]]::new()

# Runs a step. What it returns is the step's own; $Undo runs if a later step fails.
function Invoke-Step([string] $What, [scriptblock] $Do, [scriptblock] $Undo) {
    if (-not $PSCmdlet.ShouldProcess($What)) { return }
    Write-Host "== $What"
    $result = & $Do
    if ($Undo) { $undo.Push(@{ What = $What; Do = $Undo }) }
    $result
}

function Undo-Steps {
    while ($undo.Count -gt 0) {
        $step = $undo.Pop()
        Write-Host "== undo: $($step.What)"
        try { & $step.Do } catch { Write-Warning "not undone: $($step.What): $_" }
    }
}

$nic = Get-NetAdapter -Name $NetworkAdapter -ErrorAction SilentlyContinue
if (-not $nic) {
    throw "There is no network adapter '$NetworkAdapter'. There are: $((Get-NetAdapter).Name -join ', ')"
}
if ($nic.ComponentID -eq $SoftndkHardwareId) { throw "'$NetworkAdapter' is a softndk adapter itself." }

if ($Check) {
    $virtual = Get-SoftndkAdapter
    if (-not $virtual) { throw 'softndk is not installed.' }
    Set-SoftndkBindings -Nic $nic -Virtual $virtual
    Write-Host 'The bindings are as they should be.'
    return
}

if (Get-SoftndkAdapter) { throw 'softndk is installed already; uninstall.ps1 removes it, -Check repairs its bindings.' }
Test-SoftndkMachine
Test-SoftndkPackage -Package $Package

$address = Save-SoftndkAddress -Nic $nic
Write-Host "'$NetworkAdapter' gives its addresses to the virtual adapter '$Name': $($address.Text)"

try {
    $certificate = Join-Path $Package 'softndk.cer'
    Invoke-Step 'trust the test certificate' {
        foreach ($store in $SoftndkCertificateStores) {
            Import-Certificate -FilePath $certificate -CertStoreLocation $store | Out-Null
        }
    } { Remove-SoftndkCertificate -File $certificate }

    Invoke-Step 'add the driver packages to the driver store' {
        foreach ($inf in $SoftndkInfs) { Invoke-Tool pnputil.exe /add-driver (Join-Path $Package $inf) }
    } { Remove-SoftndkDriverPackages }

    Invoke-Step 'install the protocol component' {
        $inf = Join-Path $Package 'softndk_protocol.inf'
        Invoke-Tool netcfg.exe -v -l $inf -c p -i $SoftndkProtocolId
    } { Invoke-Tool netcfg.exe -v -u $SoftndkProtocolId }

    # Off everywhere until the pairing is written: a bind without UpperBindings is refused anyway.
    Invoke-Step 'keep the protocol off every adapter' {
        Disable-NetAdapterBinding -Name '*' -ComponentID $SoftndkProtocolId
    }

    Invoke-Step 'create the virtual adapter' {
        New-SoftndkDevice -Inf (Join-Path $Package 'softndk.inf')
    } { Remove-SoftndkDevice }

    if ($WhatIfPreference) {
        Write-Host 'What follows would work on the adapter that is not there yet: its name, the pairing, the bindings, the addresses.'
        return
    }
    $virtual = Wait-SoftndkAdapter
    Rename-NetAdapter -InputObject $virtual -NewName $Name
    $virtual = Get-SoftndkAdapter

    Invoke-Step "pair '$Name' with '$NetworkAdapter'" {
        Set-SoftndkPairing -Nic $nic -Virtual $virtual
    } { Remove-SoftndkPairing -Nic $nic }

    Invoke-Step "move TCP/IP from '$NetworkAdapter' to '$Name' (the network is interrupted)" {
        Set-SoftndkBindings -Nic $nic -Virtual $virtual
    } { Restore-SoftndkNic -Nic $nic -Address $address }

    Invoke-Step "wait for '$Name' to come up and give it the addresses" {
        Wait-SoftndkUp
        Restore-SoftndkAddress -Alias $Name -Address $address
    }
}
catch {
    Write-Warning "failed: $_"
    Undo-Steps
    throw
}

Write-Host ''
Write-Host "softndk runs over '$NetworkAdapter'. Look at it with:"
Write-Host '  Get-NetAdapterRdma'
Write-Host '  Get-SmbClientNetworkInterface'
